"""The benchmarks work, and their results have the shape that README.md describes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from bench.autoscale.fleets import FLEETS
from bench.cases import backup
from bench.fleet.memory import proportional
from bench.fleet.systems import FLEET, STOCK
from tests.paperless import backup_kit, checkout
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.rclone_server import rclone_binary
from tests.wide import WIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

pytestmark = WIDE  # what measures guards no document

CLOUD = "PAPERFLEET_TEST_NEXTCLOUD_"
CHECKOUT = Path(__file__).parents[2]
OURS = "paperfleet"


def bench(
    output: Path, *options: str, environment: Mapping[str, str] | None = None, timeout: int = 110
) -> tuple[dict[str, Any], str]:
    """Run one benchmark on tiny trees; return its result and its tables."""
    command = [sys.executable, "-m", "bench", "--quick", "--output", str(output), *options]
    env = {k: v for k, v in os.environ.items() if not k.startswith(CLOUD)}
    ended = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=env | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert ended.returncode == 0, ended.stderr
    (path,) = output.iterdir()
    return json.loads(path.read_text(encoding="utf-8")), ended.stdout


def rows(result: dict[str, Any], client: str) -> dict[str, dict[str, Any]]:
    """Return a client's rows on the one server by metric."""
    return {row["metric"]: row for row in result["rows"] if row["client"] == client}


def check_shape(result: dict[str, Any], tables: str, clients: Sequence[str]) -> None:
    assert {"date", "cores", "memory_gb", "python", "pycurl", "rclone"} <= result["machine"].keys()
    assert "hostname" not in result["machine"]
    assert set(clients) <= {row["client"] for row in result["rows"]}
    for row in result["rows"]:
        assert row["samples"], row
        assert row["median"] == median(row["samples"])
        assert row["min"] <= row["median"] <= row["p95"] <= row["max"]
        assert row["server"] in tables
        assert row["client"] in tables
    for verdict in result["targets"]:
        assert verdict["reached"] in {True, False}
        assert verdict["measured"] in tables


def peers(*names: str) -> tuple[str, ...]:
    return names if rclone_binary() else ()


def test_first_sync_is_compared_with_rclone_and_bare_requests(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "first_sync", "--server", "nextcloud")
    rclone = peers("rclone sync --transfers=4", "rclone sync --transfers=16")
    check_shape(result, tables, [OURS, "bare PUT, 4 connections", *rclone])
    assert {row["server"] for row in result["rows"]} == {"Nextcloud, simulated"}
    ours = rows(result, OURS)
    assert ours["seconds"]["median"] >= ours["processor time"]["median"] / 2 > 0
    assert 10 < ours["peak memory"]["median"] < 200


def test_a_first_sync_is_compared_with_bulk_requests_where_a_nextcloud_is_named(
    tmp_path: Path,
) -> None:
    with nextcloud_double() as double:
        named = {"URL": double.url, "USER": double.user, "PASSWORD": double.password}
        named["ROOT"] = str(double.root)
        environment = {f"{CLOUD}{key}": value for key, value in named.items()}
        result, tables = bench(tmp_path / "named", "--only", "cloud_bulk", environment=environment)
    check_shape(result, tables, [OURS, "bare bulk, 2 at a time"])
    result, tables = bench(tmp_path / "none", "--only", "cloud_bulk")
    assert result["rows"] == []
    assert f"{CLOUD}URL, {CLOUD}USER, {CLOUD}PASSWORD, {CLOUD}ROOT not set" in tables


def test_requests_are_counted_when_nothing_changed(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "unchanged", "--server", "wsgidav")
    check_shape(result, tables, [OURS, *peers("rclone sync --transfers=4")])
    requests = rows(result, OURS)["requests"]
    assert requests["median"] >= 1
    assert "PROPFIND" in requests["details"][0]


def test_a_folder_rename_is_one_move(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "folder_rename", "--server", "nextcloud")
    check_shape(result, tables, [OURS, "paperfleet, running"])
    assert rows(result, "paperfleet, running")["requests"]["details"][0].count("1 MOVE") == 1


def test_latency_is_taken_for_each_kind_of_change(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "latency", "--server", "wsgidav")
    check_shape(result, tables, [OURS, "bare request"])
    for client in (OURS, "bare request"):
        assert rows(result, client).keys() == {"create", "overwrite", "rename", "delete"}
    # The mirror waits 100 ms for more changes; who measured less measured something else.
    assert rows(result, OURS)["create"]["min"] >= 100


def test_a_pass_over_many_files_is_measured_beside_memory_and_journal(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "many_files")
    surveyed = "paperfleet, one pass over the source"
    check_shape(result, tables, [surveyed, "paperfleet, nothing changed"])
    assert rows(result, surveyed)["files a second"]["median"] > 0
    assert rows(result, "paperfleet, first run, all there")["journal"]["median"] > 0


def test_objects_are_compared_with_obstore_and_django_storages(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "objects")
    check_shape(result, tables, [OURS, "bare obstore", "django-storages"])
    assert {row["metric"] for row in result["rows"]} == {"put", "get", "head", "list", "move"}
    assert len({row["server"] for row in result["rows"]}) == 2, "one thread, and many"


def test_the_end_of_a_large_object_is_counted_in_bytes(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "object_end")
    check_shape(result, tables, [OURS, "django-storages"])
    assert 1000 < rows(result, OURS)["bytes transferred"]["median"] < 2_000_000
    assert rows(result, "django-storages")["bytes transferred"]["median"] > 20_000_000


def test_the_memory_of_a_large_save_is_taken(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "object_memory")
    check_shape(result, tables, [OURS, "bare obstore", "django-storages"])
    assert 20 < rows(result, OURS)["peak memory"]["median"] < 100


def test_a_migration_is_compared_with_rclone(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "migration")
    check_shape(result, tables, ["paperfleet migrate --threads 16"])
    peer = rows(result, "rclone copy --transfers 16 --checksum")
    assert bool(peer) == bool(rclone_binary())


@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING)
def test_a_backup_is_compared_with_the_exporter_and_restic(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "backup", "--documents", "15", timeout=580)
    check_shape(result, tables, [backup.UNCHANGED, backup.RESTORE, backup.EXPORT, backup.PLAIN])
    assert {row["server"] for row in result["rows"]} == {"10 documents", "15 documents"}
    unchanged = rows(result, backup.UNCHANGED)
    assert unchanged["seconds"]["median"] > unchanged[backup.SCAN]["median"] > 0
    assert len(result["targets"]) == 4


def test_a_fleet_is_measured_where_a_paperless_ngx_is_named(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "fleet", environment={"PAPERLESS_SRC": ""})
    assert result["rows"] == []
    assert "PAPERLESS_SRC does not name a checkout" in tables


def test_a_day_of_each_way_to_scale_is_simulated(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "autoscale")
    check_shape(result, tables, [fleet.name for fleet in FLEETS])
    assert "**A simulation**" in tables
    assert len({row["server"] for row in result["rows"]}) == 4
    for fleet in FLEETS:
        if fleet.beside:
            assert rows(result, fleet.name)["killed"]["max"] == 0
    counted = [one for one in result["targets"] if "1,000 scale-downs" in one["target"]]
    assert not any(one["reached"] for one in counted), "one day has too few to say so"


@pytest.mark.paperless
@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(checkout.missing()), reason=str(checkout.missing()))
def test_a_fleet_is_compared_with_paperless_by_itself(tmp_path: Path) -> None:
    result, tables = bench(tmp_path, "--only", "fleet", timeout=800)
    check_shape(result, tables, [FLEET, STOCK])
    assert all(rows(result, name)["memory: web"]["median"] > 50 for name in (FLEET, STOCK))
    assert rows(result, FLEET)["until found by another web"]["median"] > 0


def test_memory_is_that_of_all_processes_of_a_session(tmp_path: Path) -> None:
    for pid, session, kilobytes in ((7, 7, 300), (8, 7, 20), (9, 9, 1000)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (b) c) S 1 {pid} {session} 0 -1")
        told = f"0-1 ---p 0 00:00 0 [rollup]\nRss: 9999 kB\nPss: {kilobytes} kB\n"
        (tmp_path / str(pid) / "smaps_rollup").write_text(told)
    (tmp_path / "8" / "smaps_rollup").unlink()  # it ends just now
    (tmp_path / "version").write_text("no process")
    assert proportional(7, tmp_path) == 300 * 1024

    # A session of its own: that of the tests may hold processes of others, which nobody may read.
    waiting = [sys.executable, "-c", "print(flush=True); input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(waiting, stdin=pipe, stdout=pipe, start_new_session=True) as started:
        assert started.stdout
        started.stdout.readline()  # it runs
        assert proportional(started.pid) > 1024**2


@pytest.mark.parametrize("text", ["no marks at all", "<!-- results: begin -->"])
def test_a_readme_without_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    from bench.report import update_readme

    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ValueError, match="no place"):
        update_readme(readme, "tables")
    assert readme.read_text() == text


def test_the_way_of_a_new_file_is_counted() -> None:
    command = [sys.executable, "-m", "bench.journey", "--files", "1", "--list"]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=110)
    assert ended.returncode == 0, ended.stderr
    counted = re.findall(r"^\| (the .*?) \| (\d+) \| ([\d,]+) \|", ended.stdout, re.MULTILINE)
    assert [until for until, *_ in counted] == ["the answer to its PUT", "the journal has it"]
    modules = ended.stdout.splitlines()[4:]
    assert len(modules) == int(counted[0][1])
    passed = {"mirror/watch/inotify", "mirror/planning/guard", "storage/dav/client"}
    assert passed <= set(modules)
