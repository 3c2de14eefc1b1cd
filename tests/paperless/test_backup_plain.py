"""Backups without restic: plain files in another storage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.servers.moto_server import moto_server
from tests.wide import WIDE

from paperfleet.backup.plain import kept_of
from paperfleet.backup.repository import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.paperless.backup_kit import SmallInstallation

pytestmark = pytest.mark.timeout(300)
_PLAIN, _OPTIONS = "PAPERFLEET_BACKUP_PLAIN", "PAPERFLEET_BACKUP_PLAIN_OPTIONS"


def use_plain(installation: SmallInstallation, address: str, options: dict[str, str]) -> None:
    for name in ("PAPERFLEET_BACKUP_REPOSITORY", "PAPERFLEET_BACKUP_PASSWORD"):
        installation.variables[name] = ""
    installation.variables |= {_PLAIN: address, _OPTIONS: json.dumps(options)}


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_is_taken_kept_verified_and_restored(
    small: SmallInstallation, other: SmallInstallation, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for installation in (small, other):
        use_plain(installation, str(store), {})
        installation.variables["PAPERFLEET_BACKUP_KEEP_DAILY"] = "1"
    assert "--init" in small.backup("run", code=1)
    first = small.run("--init")
    assert (first["complete"], first["files"]) == (True, 8)
    contents = files_below(store / "paperless" / "files")
    assert len(contents) == 8
    (store / "paperless" / "backups" / "half").mkdir()
    (store / "paperless" / "backups" / "half" / "data").write_bytes(b"of a killed run")
    small.python(
        "import django; django.setup()\n"
        "from documents.models import Document\n"
        "Document.global_objects.get(pk=2).hard_delete()"
    )
    second = small.run()
    assert (second["complete"], second["added_bytes"]) == (True, 0)
    (listed,) = json.loads(small.backup("list", "--json"))
    assert listed["snapshot"] == second["snapshot"]
    assert len(files_below(store / "paperless" / "files")) == 6, "what no backup names has gone"
    (kept,) = (store / "paperless" / "backups").iterdir()
    assert str(second["snapshot"]) in kept.name
    assert "6 files of it read, 0 with" in small.backup("verify", "--read", "100%", "--files")
    other.backup("restore")
    assert other.files() == small.files()
    assert other.rows() == small.rows()
    small.backup("restore", "--document", "1", "--to", str(tmp_path / "found"))
    assert files_below(tmp_path / "found") == {"originals/töp/1.pdf", "archive/töp/1.pdf"}


@WIDE
def test_damage_is_found_and_it_is_restored_without_paperfleet(
    small: SmallInstallation, tmp_path: Path
) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    use_plain(small, str(store), {})
    small.run("--init")
    (backup,) = (store / "paperless" / "backups").iterdir()
    shutil.copytree(backup / "data", out / "data")
    shutil.copytree(store / "paperless" / "files", out / "files")
    words = [sys.executable, "-I", "data/lay_out.py", str(tmp_path / "import")]
    subprocess.run(words, cwd=out, check=True, timeout=60, capture_output=True)
    assert len(files_below(tmp_path / "import")) == 8 + 2
    victim = max((store / "paperless" / "files").rglob("*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(bytes(victim.stat().st_size))
    assert "not what their names say" in small.backup("verify", "--read", "100%", code=1)
    assert "1 with other bytes" in small.backup("verify", "--files", code=3)
    assert "not what was backed up" in small.backup("restore", "--to", str(tmp_path / "x"), code=1)


@WIDE
def test_a_second_bucket_has_it(small: SmallInstallation, other: SmallInstallation) -> None:
    with moto_server() as server:
        options = server.options()
        for installation in (small, other):
            use_plain(installation, "paperfleet.S3CompatibleBackend", options)
        assert small.run("--init")["complete"]
        small.backup("verify", "--files", "--read", "1/1")
        other.backup("restore")
    assert other.files() == small.files()


@WIDE
def test_a_bucket_with_versions_keeps_what_old_backups_were(
    small: SmallInstallation, other: SmallInstallation
) -> None:
    """To delete there hides an object. Object Lock is not tried: moto takes no checksum for it."""
    with moto_server() as server:
        server.client.put_bucket_versioning(
            Bucket=server.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        options = server.options()
        for installation in (small, other):
            use_plain(installation, "paperfleet.S3CompatibleBackend", options)
            installation.variables["PAPERFLEET_BACKUP_KEEP_DAILY"] = "1"
        assert small.run("--init")["complete"]

        def versions() -> dict[str, int]:
            pages = server.client.get_paginator("list_object_versions").paginate(
                Bucket=server.bucket
            )
            found = [one for page in pages for one in page.get("Versions", ())]
            return {f"{one['Key']} {one['VersionId']}": one["Size"] for one in found}

        first = versions()
        small.python(
            "import django; django.setup()\n"
            "from documents.models import Document\n"
            "Document.global_objects.get(pk=2).hard_delete()"
        )
        assert small.run()["complete"]
        assert len(json.loads(small.backup("list", "--json"))) == 1
        after = versions()
        contents = {key: size for key, size in first.items() if "/files/" in key}
        assert len(contents) == 8
        assert contents.items() <= after.items()
        deleted = server.client.list_object_versions(Bucket=server.bucket)["DeleteMarkers"]
        assert any("/files/" in one["Key"] for one in deleted)
        small.backup("verify", "--files", "--read", "1/1")
        other.backup("restore")
    assert other.files() == small.files()


def test_one_of_restic_and_plain_is_chosen(small: SmallInstallation, tmp_path: Path) -> None:
    small.variables[_PLAIN] = str(tmp_path / "store")
    assert "are both set" in small.backup("list", code=1)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ({"daily": 2}, [2, 3]),
        ({"daily": 0, "weekly": 2}, [0, 3]),
        ({"daily": 1, "monthly": 2}, [0, 3]),
        ({"daily": 9}, [0, 2, 3]),
    ],
)
def test_the_last_of_each_period_is_kept(keep: dict[str, int], kept: list[int]) -> None:
    newest = datetime.fromisoformat("2026-02-11T20:00:00+00:00")  # a Wednesday
    ages = (15, 1.25, 1, 0)
    found = [
        Snapshot(str(number), (newest - timedelta(days=age)).isoformat(), "", (), ())
        for number, age in enumerate(ages)
    ]
    assert {int(one.number) for one in kept_of(found, keep)} == set(kept)
