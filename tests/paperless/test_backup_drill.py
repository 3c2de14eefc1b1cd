"""Drills of backups of the small project: green for what can be restored, red for all else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.paperless import backup_kit
from tests.paperless.backup_kit import BROKEN, PASSWORD, SmallInstallation, restic
from tests.servers.listening import Heard, listening
from tests.wide import WIDE

from paperfleet.backup import manifest as manifests
from paperfleet.backup import published
from paperfleet.backup.place import BackupPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from paperfleet.backup.published import Published

pytestmark = [
    pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING),
    pytest.mark.timeout(600),
]
ELSEWHERE = {
    "PAPERLESS_DBHOST": "127.0.0.1",
    "PAPERLESS_DBPORT": "9",
    "PAPERLESS_DBNAME": "x",
    "PAPERLESS_DBUSER": "x",
    "PAPERLESS_DBPASS": "x",
    "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "paperfleet.S3CompatibleBackend",
    "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": "{}",
    "PAPERFLEET_FLEET": "true",
}
"""What the real installation may say, and nobody answers: a drill must not ask."""
KNOWN = ("--known-broken", str(BROKEN))


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an installation and a repository that has one backup of it."""
    folder = tmp_path_factory.mktemp("model")
    made = SmallInstallation(backup_kit.with_pdfs(folder / "paperless"))
    said = made.backup("run", "--init")
    assert published.NEVER in said
    return folder


@pytest.fixture
def paperless(backed_up: Path, tmp_path: Path) -> SmallInstallation:
    for name in ("paperless", "repository"):
        shutil.copytree(backed_up / name, tmp_path / name)
    return SmallInstallation(tmp_path / "paperless")


@pytest.fixture
def monitor() -> Iterator[Heard]:
    with listening() as heard:
        yield heard


def drilled(installation: SmallInstallation) -> Published:
    assert not (installation.folder / "backup" / "drill").exists(), "it holds documents"
    return published.read(installation.folder / "backup")


def change_backup(installation: SmallInstallation, change: Callable[[Path], None]) -> None:
    """Take the newest backup anew, in which something is changed that restic cannot know of."""
    folder = installation.folder.parent / "changed"
    restic(installation.repository, "restore", "latest", "--target", str(folder))
    (old,) = json.loads(restic(installation.repository, "snapshots", "--json").stdout)
    change(folder)
    tags = [word for tag in old["tags"] for word in ("--tag", tag)]
    words = ["backup", "--host", old["hostname"], *tags, "data", "files"]
    restic(installation.repository, *words, cwd=folder)


def rewrite(folder: Path, change: Callable[[manifests.Manifest], manifests.Manifest]) -> None:
    place = BackupPlace(folder)
    place.write("data/manifest.jsonl", list(manifests.lines(change(place.manifest()))))


def test_what_can_be_restored_is_green(paperless: SmallInstallation, monitor: Heard) -> None:
    before = {path: path.read_bytes() for path in paperless.media.rglob("*") if path.is_file()}
    database = (paperless.folder / "data_dir" / "db.sqlite3").read_bytes()
    paperless.variables["PAPERFLEET_BACKUP_DRILL_HEARTBEAT_URL"] = monitor.url + "/uuid?x=1"
    assert published.NEVER in paperless.backup("list")
    paperless.variables |= ELSEWHERE
    said = paperless.backup("drill", "--seed", "7", *KNOWN)
    assert "green: backup" in said
    assert "seed 7" in said
    found = drilled(paperless)
    assert found.last is not None
    assert found.last == found.green
    drill = found.last
    assert (drill.documents, drill.compared, drill.files) == (4, 4, 11)
    assert (drill.pdfs, drill.searches, drill.seed) == (6, 3, 7)
    assert 0 < drill.restore_seconds < drill.seconds
    assert not drill.reasons
    assert "the last drill was green" in paperless.backup("list")
    assert monitor.paths == ["/uuid/start?x=1", "/uuid?x=1"]
    after = {path: path.read_bytes() for path in paperless.media.rglob("*") if path.is_file()}
    assert after == before
    assert (paperless.folder / "data_dir" / "db.sqlite3").read_bytes() == database
    status = paperless.paperfleet("status")
    assert "green" in status
    told = json.loads(paperless.paperfleet("status", "--json"))
    assert told["drill"]["last"]["outcome"] == "green"
    assert 0 <= told["drill"]["age_seconds"] < 300


def test_what_it_prints_for_programs_is_json_alone(paperless: SmallInstallation) -> None:
    told = json.loads(paperless.backup("drill", "--json", *KNOWN))
    assert (told["outcome"], told["documents"], told["reasons"]) == ("green", 4, [])


@WIDE
def test_a_pdf_that_does_not_open_is_red_and_the_last_green_one_is_told(
    paperless: SmallInstallation, monitor: Heard
) -> None:
    paperless.backup("drill", *KNOWN)
    paperless.variables["PAPERFLEET_BACKUP_DRILL_HEARTBEAT_URL"] = monitor.url
    said = paperless.backup("drill", code=3)
    assert f"document {BROKEN}, originals/invoices/april.pdf: it cannot be opened" in said
    found = drilled(paperless)
    assert found.last is not None
    assert found.last.outcome == "red"
    assert found.green is not None
    assert monitor.paths == ["/start", "/fail"]
    said = paperless.backup("list")
    assert "THE LAST DRILL WAS RED" in said
    assert "the last green one was" in said


def test_a_damaged_document_in_the_backup_is_red(paperless: SmallInstallation) -> None:
    def damage(folder: Path) -> None:
        files = [path for path in (folder / "files").rglob("*") if path.is_file()]
        victim = max(files, key=lambda path: path.stat().st_size)
        victim.write_bytes(victim.read_bytes()[:-1] + b"x")

    change_backup(paperless, damage)
    assert "not what was backed up" in paperless.backup("drill", *KNOWN, code=3)
    found = drilled(paperless)
    assert found.green is None
    assert found.last is not None
    assert found.last.outcome == "red"


@pytest.mark.parametrize(
    "lie", ["of a document", pytest.param("of the counts", marks=WIDE)], ids=str
)
def test_a_manifest_that_lies_is_red(paperless: SmallInstallation, lie: str) -> None:
    def of_a_document(folder: Path) -> None:
        """Let the manifest name, and the tree hold, other bytes than the database knows."""

        def swapped(manifest: manifests.Manifest) -> manifests.Manifest:
            first, second, *rest = manifest.files
            one = first._replace(sha256=second.sha256, size=second.size)
            return manifest._replace(files=(one, second, *rest))

        rewrite(folder, swapped)

    def of_the_counts(folder: Path) -> None:
        rewrite(folder, lambda manifest: manifest._replace(documents=manifest.documents + 1))

    change_backup(paperless, {"of a document": of_a_document}.get(lie, of_the_counts))
    said = paperless.backup("drill", *KNOWN, code=3)
    expected = {"of a document": "other bytes than the database has a checksum of"}
    assert expected.get(lie, "4 documents were restored") in said
    assert drilled(paperless).green is None


def test_nothing_compared_is_red(tmp_path: Path) -> None:
    empty = SmallInstallation(backup_kit.empty(tmp_path / "empty"))
    empty.run("--init")
    said = empty.backup("drill", code=3)
    assert "nothing was compared" in said
    assert "no search has found anything" in said
    assert drilled(empty).green is None


def test_a_search_that_finds_nothing_is_red(paperless: SmallInstallation) -> None:
    paperless.variables["PAPERFLEET_TEST_SEARCH"] = "blind"
    said = paperless.backup("drill", *KNOWN, code=3)
    assert "no search for a word that is in it finds it" in said
    assert drilled(paperless).green is None


def test_a_wrong_password_is_no_green(paperless: SmallInstallation) -> None:
    paperless.variables["PAPERFLEET_BACKUP_PASSWORD"] = "another"
    assert "does not open the repository" in paperless.backup("drill", code=1)
    found = drilled(paperless)
    assert found.last is not None
    assert found.last.outcome == "red"
    assert "does not open" in found.last.reasons[0]


@WIDE
def test_another_version_is_red(paperless: SmallInstallation) -> None:
    paperless.variables["PAPERFLEET_TEST_VERSION"] = "3.0.0"
    assert "Install paperless-ngx 3.0.5" in paperless.backup("drill", code=3)
    assert drilled(paperless).green is None


@WIDE
def test_a_backup_that_is_not_complete_is_red(paperless: SmallInstallation) -> None:
    (paperless.media / "originals" / "invoices" / "january.pdf").unlink()
    shutil.rmtree(paperless.folder / "backup")
    taken = paperless.run(code=3)
    said = paperless.backup("drill", str(taken["snapshot"]), *KNOWN, code=3)
    assert "is not complete" in said
    paperless.backup("drill", *KNOWN)


def test_an_installation_that_is_no_throw_away_is_refused(
    paperless: SmallInstallation, tmp_path: Path
) -> None:
    for action in ("prepare", "look"):
        said = paperless.manage("paperfleet_drill", action, str(tmp_path / "other"), code=1)
        assert "no throw-away installation" in said


def test_a_drill_that_is_killed_leaves_nothing_that_looks_green(
    paperless: SmallInstallation,
) -> None:
    paperless.backup("drill", *KNOWN)
    left = paperless.folder / "backup" / "drill"
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen(
            [sys.executable, "-m", "paperfleet", "backup", "drill", *KNOWN],
            env=paperless.environment(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with process:
            end = time.monotonic() + 60
            while not list(left.glob("*/data_dir/db.sqlite3")):
                assert time.monotonic() < end
                assert process.poll() is None
                time.sleep(0.05)
            # The whole group: else what the drill has started would go on for a while.
            os.killpg(process.pid, number)
            assert process.wait(60) == (4 if number == signal.SIGTERM else -number)
        last = published.read(paperless.folder / "backup").last
        assert last is not None
        assert last.outcome == "unfinished"
        assert left.exists() is (number == signal.SIGKILL)
        assert "has not ended" in paperless.backup("list")
    # A lease of a process that is gone runs out by itself; nobody waits for that here.
    shutil.rmtree(paperless.folder / "backup" / "leases")
    assert "has left" in paperless.backup("drill", *KNOWN)
    found = drilled(paperless)
    assert found.last is not None
    assert found.last.outcome == "green"


def test_heartbeats_of_a_run(paperless: SmallInstallation, monitor: Heard, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"{monitor.url}/ping/\n")
    paperless.variables["PAPERFLEET_BACKUP_HEARTBEAT_URL_FILE"] = str(file)
    paperless.run()
    assert monitor.paths == ["/ping/start", "/ping"]
    (paperless.media / "originals" / "invoices" / "january.pdf").unlink()
    shutil.rmtree(paperless.folder / "backup")
    paperless.run(code=3)
    paperless.variables["PAPERFLEET_BACKUP_PASSWORD"] = PASSWORD + "x"
    paperless.backup("run", code=1)
    assert monitor.paths[2:] == ["/ping/start", "/ping/fail"] * 2


def test_a_heartbeat_that_is_not_heard_fails_nothing(paperless: SmallInstallation) -> None:
    with listening() as gone:
        url = gone.url
    paperless.variables["PAPERFLEET_BACKUP_HEARTBEAT_URL"] = f"{url}/s3cret"
    said = paperless.backup("run")
    assert said.count("the heartbeat could not be sent") == 2
    assert "s3cret" not in said
