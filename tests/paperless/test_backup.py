"""Backups of the small project in a real restic: taken, listed, verified, restored."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.paperless import backup_kit
from tests.paperless.backup_kit import PASSWORD, SmallInstallation, restic
from tests.paperless.children import SMALL
from tests.servers.moto_server import moto_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.wide import WIDE, first_of

from paperfleet.backup.place import BackupPlace, alone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.s3 import S3Server

pytestmark = [
    pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto_server() as running:
        yield running


def use_bucket(installation: SmallInstallation, server: S3Server, *, migrate: bool = True) -> None:
    """Let an installation keep its documents in a bucket from now on, those that it has too."""
    installation.variables |= {
        "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "paperfleet.S3CompatibleBackend",
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": json.dumps(server.options()),
    }
    if migrate:
        installation.manage("migrate_storage")


@pytest.mark.parametrize(
    "way", first_of(["bucket to disk", "disk to bucket", "disk to disk"]), ids=str
)
def test_what_was_backed_up_is_restored_wherever_it_lies(
    small: SmallInstallation, other: SmallInstallation, server: S3Server, way: str
) -> None:
    old, _, new = way.split()
    if old == "bucket":
        use_bucket(small, server)
    if new == "bucket":
        use_bucket(other, server, migrate=False)
    files, rows = small.files(), small.rows()
    assert len(files) == 8
    taken = small.run("--init")
    assert (taken["complete"], taken["documents"], taken["files"], taken["new"]) == (True, 3, 8, 8)
    (listed,) = json.loads(small.backup("list", "--json"))
    assert listed["complete"]
    assert listed["snapshot"].startswith(str(taken["snapshot"]))
    assert str(taken["snapshot"]) in small.backup("list")
    assert "8 files named" in small.backup("verify", "--read", "100%")
    assert "proven by SHA-256" in other.backup("restore")
    assert other.files() == files
    assert other.rows() == rows
    other.manage("paperfleet_check")
    assert "proven by SHA-256" in other.backup("restore"), "once more changes nothing"
    assert other.files() == files


def test_a_second_run_reads_nothing_again(saved: SmallInstallation) -> None:
    saved.run()  # what was copied for this test has thumbnails of another time
    for area in ("originals", "archive"):  # of which the database has checksums
        shutil.rmtree(saved.media / area)
    again = saved.run()
    assert (again["complete"], again["new"], again["passes"]) == (True, 0, 1)


@WIDE
def test_what_was_deleted_leaves_the_tree_and_stays_in_older_backups(
    saved: SmallInstallation, other: SmallInstallation
) -> None:
    saved.python(
        "import django; django.setup()\n"
        "from documents.models import Document\n"
        "Document.global_objects.get(pk=2).hard_delete()"
    )
    second = saved.run()
    assert (second["complete"], second["documents"], second["pruned"]) == (True, 2, 2)
    tree = saved.folder / "backup" / "files"
    assert sum(path.is_file() for path in tree.rglob("*")) == second["files"]
    assert not (saved.folder / "backup" / "data").exists(), "it holds secrets"
    other.backup("restore")
    assert other.files() == saved.files()


def test_it_is_restored_without_paperfleet(
    saved: SmallInstallation, other: SmallInstallation, tmp_path: Path
) -> None:
    restic(saved.repository, "restore", "latest", "--target", str(tmp_path / "restored"))
    laid_out = subprocess.run(
        [sys.executable, "-I", "data/lay_out.py", str(tmp_path / "import")],
        cwd=tmp_path / "restored",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert laid_out.returncode == 0, laid_out.stdout + laid_out.stderr
    assert "3.0.5" in laid_out.stdout
    environment = other.environment() | {"PAPERLESS_APPS": ""}
    # The image makes it at each start (``init-folders/run``).
    Path(environment["PAPERLESS_DATA_DIR"], "index").mkdir(parents=True)
    done = SMALL.run(["manage.py", "document_importer", str(tmp_path / "import")], environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert other.files() == saved.files()
    assert other.rows() == saved.rows()


@WIDE
def test_the_script_names_what_is_not_as_it_was(saved: SmallInstallation, tmp_path: Path) -> None:
    saved.backup("restore", "--to", str(tmp_path / "out"))
    victim = max((tmp_path / "out" / "files").rglob("*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(b"other")
    words = [sys.executable, "-I", "data/lay_out.py", str(tmp_path / "import")]
    done = subprocess.run(words, cwd=tmp_path / "out", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "not what was backed up" in done.stderr


def test_it_is_short_and_needs_nothing() -> None:
    script = Path(sys.modules[alone.__module__].__file__ or "").with_name("lay_out.py")
    lines = script.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 50
    assert not [line for line in lines if "paperfleet" in line]


@WIDE
def test_without_a_repository_it_says_how_to_make_one(small: SmallInstallation) -> None:
    said = small.backup("run", code=1)
    assert "--init" in said
    assert not small.repository.exists()


def test_a_wrong_password_is_said_to_be_one(saved: SmallInstallation) -> None:
    saved.variables["PAPERFLEET_BACKUP_PASSWORD"] = "another"
    for words in (("run",), ("run", "--init"), ("list",), ("verify",), ("restore",)):
        assert "does not open the repository" in saved.backup(*words, code=1)


def test_a_misspelled_variable_is_refused(small: SmallInstallation) -> None:
    small.variables["PAPERFLEET_BACKUP_PASWORD"] = "x"
    assert "PAPERFLEET_BACKUP_PASSWORD" in small.backup("list", code=1)


@WIDE
def test_a_lock_of_a_dead_process_is_told_and_removed(saved: SmallInstallation) -> None:
    with subprocess.Popen(
        [str(backup_kit.RESTIC), "backup", "--stdin"],
        env={
            "RESTIC_REPOSITORY": str(saved.repository),
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": str(saved.folder / "cache"),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as killed:
        end = time.monotonic() + 30
        while not [one for one in (saved.repository / "locks").iterdir() if len(one.name) == 64]:
            assert time.monotonic() < end
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
    said = saved.backup("verify", code=1)
    assert "locked" in said
    assert "paperfleet backup unlock" in said
    taken = saved.run(code=3)
    assert taken["complete"], "old ones could not be let go of, and the new one is there"
    saved.backup("unlock")
    saved.backup("verify")
    saved.run()


@WIDE
def test_two_runs_at_once_are_one(saved: SmallInstallation) -> None:
    with alone(BackupPlace(saved.folder / "backup")):
        assert "another backup works" in saved.backup("run", code=1)
    saved.run()


def test_a_flipped_bit_is_found(saved: SmallInstallation, other: SmallInstallation) -> None:
    pack = max((saved.repository / "data").rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 4] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    said = saved.backup("verify", "--read", "100%", code=1)
    assert "damaged" in said
    other.backup("restore", code=1)
    assert other.files() == {}
    assert other.rows() == []


def test_what_is_missing_or_damaged_is_named_and_the_last_good_backup_stays(
    saved: SmallInstallation, other: SmallInstallation
) -> None:
    files, rows = saved.files(), saved.rows()
    shutil.rmtree(saved.folder / "backup")
    (saved.media / "originals" / "töp" / "1.pdf").unlink()
    (saved.media / "archive" / "töp" / "1.pdf").write_bytes(b"damaged")
    bad = saved.run(code=3)
    faults = bad["faults"]
    assert isinstance(faults, list)
    named = {(fault["role"], fault["key"]): fault["fault"] for fault in faults}
    assert "missing" in named["originals", "töp/1.pdf"]
    assert "other bytes" in named["archive", "töp/1.pdf"]
    listed = json.loads(other.backup("list", "--json"))
    assert [row["complete"] for row in listed] == [True, False]
    other.backup("restore")
    assert other.files() == files
    assert other.rows() == rows
    assert bad["passes"] == 1, "the database says the same as before"


@WIDE
def test_a_storage_out_of_reach_ends_it_and_the_last_good_backup_stays(
    small: SmallInstallation, other: SmallInstallation
) -> None:
    with rclone_s3_server() as server:
        use_bucket(small, server)
        files = small.files()
        small.run("--init")
    shutil.rmtree(small.folder / "backup")
    small.variables["PAPERFLEET_OUTAGE_SECONDS"] = "0"
    said = small.backup("run", code=1)
    assert "Traceback" not in said
    other.backup("restore")
    assert other.files() == files


@pytest.mark.usefixtures("saved")
def test_another_version_and_an_installation_with_documents_are_refused(
    other: SmallInstallation,
) -> None:
    other.variables["PAPERFLEET_TEST_VERSION"] = "3.0.0"
    assert "Install paperless-ngx 3.0.5" in other.backup("restore", code=1)
    del other.variables["PAPERFLEET_TEST_VERSION"]
    other.python(
        "import django; django.setup()\n"
        "from documents.models import Document\n"
        "Document.objects.create(title='mine', filename='mine.pdf')"
    )
    assert "for an empty one" in other.backup("restore", code=1)
    assert other.files() == {}


@WIDE
@pytest.mark.usefixtures("saved")
def test_a_file_that_is_there_is_never_replaced(
    other: SmallInstallation,
) -> None:
    mine = other.media / "originals" / "töp" / "1.pdf"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert "nothing there is ever replaced" in other.backup("restore", code=1)
    assert mine.read_bytes() == b"mine"
    assert other.rows() == []


@WIDE
def test_thumbnails_can_be_left_out(small: SmallInstallation, other: SmallInstallation) -> None:
    small.variables["PAPERFLEET_BACKUP_THUMBNAILS"] = "false"
    assert small.run("--init")["files"] == 5
    other.backup("restore")
    assert other.rows() == small.rows()
    assert not [name for name in other.files() if name.startswith("thumbnails/")]


@WIDE
def test_no_secret_is_in_a_backup(small: SmallInstallation, tmp_path: Path) -> None:
    small.variables["PAPERLESS_ADMIN_PASSWORD"] = "s3cret"
    small.run("--init")
    small.backup("restore", "--to", str(tmp_path / "out"))
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"s3cret" not in content
            assert PASSWORD.encode() not in content


@WIDE
def test_a_hostile_name_makes_no_line_of_its_own(small: SmallInstallation) -> None:
    name = "\x1b[2Jcleared\nbackup 12345678: all is well.pdf"
    small.python(
        "import django; django.setup()\n"
        "from documents.models import Document\n"
        f"made = Document(title='x', filename={name!r}, checksum='{'0' * 64}')\n"
        "Document.objects.bulk_create([made])"
    )
    said = small.backup("run", "--init", code=3)
    said += small.backup("verify", code=1) + small.backup("list")
    for line in said.split("\n"):
        assert line.isprintable(), repr(line)
        assert not line.startswith("backup 12345678")
