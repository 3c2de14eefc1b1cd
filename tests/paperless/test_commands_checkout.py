"""The commands in a real paperless-ngx (PAPERLESS_SRC, PAPERLESS_PYTHON), from disk to a bucket."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.paperless.checkout_kit import Installation, needs_checkout, on_disk
from tests.servers.base import HOST
from tests.servers.moto_server import moto_server
from tests.servers.postgres_server import PASSWORD, USER, postgres_missing, postgres_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.s3 import S3Bypass, new_location

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.postgres_server import PostgresServer
    from tests.servers.s3 import S3Server

pytestmark = [needs_checkout, pytest.mark.timeout(900)]
LOCAL = "paperfleet.LocalFilesystemBackend"
BUCKET = "paperfleet.S3CompatibleBackend"


@pytest.fixture(scope="module", params=["moto", "rclone"])
def server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    with (moto_server if request.param == "moto" else rclone_s3_server)() as running:
        yield running


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Installation(tmp_path_factory.mktemp("model"))
    made.make()
    return made.folder


@pytest.fixture
def paperless(model: Path, tmp_path: Path) -> Installation:
    shutil.copytree(model, tmp_path / "paperless")
    return Installation(tmp_path / "paperless")


def use(paperless: Installation, backend: str, options: dict[str, str]) -> None:
    paperless.settings = {
        "PAPERLESS_DOCUMENT_STORAGE_BACKEND": backend,
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": json.dumps(options),
    }


def use_folder(paperless: Installation) -> Path:
    folder = paperless.folder / "store"
    use(paperless, LOCAL, {"root": str(folder)})
    return folder


def named(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return what rows name, without thumbnails."""
    return {n: c for n, c in files.items() if n.startswith(("originals/", "archive/"))}


def test_to_a_bucket_and_back(paperless: Installation, server: S3Server) -> None:
    before = paperless.files()
    location = new_location()
    options = server.options(location)
    bucket = S3Bypass(server, location)
    use(paperless, BUCKET, options)
    shown = paperless.manage("migrate_storage", "--dry-run")
    assert "originals: 4 files" in shown
    assert bucket.names() == set()
    assert "migrate_storage" in paperless.manage("check", code=1)
    moved = paperless.manage("migrate_storage")
    assert "7 copied, 0 skipped" in moved
    assert "7 deleted" in moved
    assert options["secret_key"] not in moved
    stored = {name: bucket.read(name) for name in bucket.names() - {"paperfleet.json"}}
    assert stored == named(before)
    assert named(paperless.files()) == {}
    paperless.manage("check")
    assert "all agree" in paperless.manage("paperfleet_check")
    assert "0 copied, 7 skipped" in paperless.manage("migrate_storage")

    paperless.settings = {"PAPERFLEET_SOURCE_OPTIONS": json.dumps(options)}
    back = paperless.manage("migrate_storage", f"--source-backend={BUCKET}")
    assert "7 copied, 0 skipped" in back
    assert paperless.files() == before
    assert bucket.names() == {"paperfleet.json"}
    assert "all agree" in paperless.manage("paperfleet_check")


def test_thumbnails_go_along_when_they_are_mounted(
    paperless: Installation, server: S3Server
) -> None:
    before = paperless.files()
    location = new_location()
    options = server.options(location)
    use(paperless, BUCKET, options)
    paperless.settings["PAPERFLEET_MOUNTS"] = "thumbnails,share_link_bundles"
    kept = paperless.manage("migrate_storage", "--no-delete")
    assert "11 copied" in kept
    assert "nothing was deleted at the source (--no-delete)" in kept
    assert paperless.files() == before
    assert len([n for n in S3Bypass(server, location).names() if "thumbnails/" in n]) == 4
    assert "all agree" in paperless.manage("paperfleet_check")
    paperless.manage("migrate_storage")
    assert paperless.files() == {}
    # The way back takes everything home, also without that setting.
    paperless.settings = {"PAPERFLEET_SOURCE_OPTIONS": json.dumps(options)}
    assert "11 copied" in paperless.manage("migrate_storage", f"--source-backend={BUCKET}")
    assert paperless.files() == before


def test_a_damaged_document_is_copied_kept_and_told(paperless: Installation) -> None:
    folder = use_folder(paperless)
    (paperless.documents / "originals/b.txt").write_bytes(b"rotten")
    (paperless.documents / "originals/trashed/c.pdf").unlink()
    told = paperless.manage("migrate_storage", code=1)
    assert "missing at the source, skipped: 1" in told
    assert "differs from the database" in told
    assert (folder / "originals/b.txt").read_bytes() == b"rotten"
    assert set(named(paperless.files())) == {"originals/b.txt"}
    paperless.manage("check")


def test_a_migration_that_is_not_finished_keeps_the_doors_shut(paperless: Installation) -> None:
    before = paperless.files()
    folder = use_folder(paperless)
    (folder / "originals").mkdir(parents=True)
    (folder / "originals" / "b.txt").mkdir()
    (folder / "originals" / "b.txt" / "in the way").write_bytes(b"")
    told = paperless.manage("migrate_storage", code=1)
    assert "1 failed" in told
    assert paperless.files() == before
    assert "is not finished" in paperless.manage("check", code=1)
    assert "nothing is repaired" in paperless.manage("paperfleet_check", "--repair", code=1)
    (folder / "originals" / "b.txt" / "in the way").unlink()
    (folder / "originals" / "b.txt").rmdir()
    assert "1 copied, 6 skipped" in paperless.manage("migrate_storage")
    paperless.manage("check")


def test_another_database_keeps_its_storage(paperless: Installation) -> None:
    folder = use_folder(paperless)
    paperless.manage("migrate_storage")
    stored = on_disk(folder)
    (paperless.folder / "other").mkdir()
    other = Installation(paperless.folder / "other")
    other.make()
    use(other, LOCAL, {"root": str(folder)})
    assert "belongs to another database" in other.manage("migrate_storage", code=1)
    assert "belongs to another database" in other.manage("paperfleet_check", code=1)
    assert on_disk(folder) == stored
    assert "all agree" in other.manage("paperfleet_check", "--take-ownership")
    assert "belongs to another database" in paperless.manage("check", code=1)


def test_wrong_words_are_clear_errors(paperless: Installation) -> None:
    assert "both paperless-ngx's own folder" in paperless.manage("migrate_storage", code=1)
    use_folder(paperless)
    for words, told in (
        (["--source-options={"], "not a JSON object"),
        (['--source-options={"root": "/tmp"}'], "--source-backend is not"),
        (["--source-backend=nowhere.Backend"], "nowhere"),
        (
            [f"--source-backend={LOCAL}", f'--source-options={{"root": "{paperless.folder}/new"}}'],
            "none of the",
        ),
    ):
        assert told in paperless.manage("migrate_storage", *words, code=1)


def test_check_finds_and_repairs(paperless: Installation) -> None:
    folder = use_folder(paperless)
    paperless.manage("migrate_storage")
    originals = folder / "originals"
    right = on_disk(folder)
    (originals / "2024/Ärzte & Co/a.pdf").rename(originals / "renamed.pdf")
    kept = folder / "aside/0a1b/originals/trashed/c.pdf"
    kept.parent.mkdir(parents=True)
    (originals / "trashed/c.pdf").rename(kept)
    (originals / "stray.pdf").write_bytes(b"stray")
    found = json.loads(paperless.run("paperfleet_check", "--json").stdout)
    assert [one["document"] for one in found["missing"]] == [1, 3]
    assert [one["name"] for one in found["orphaned"]] == [
        "originals/renamed.pdf",
        "originals/stray.pdf",
    ]
    assert "missing: 2" in paperless.manage("paperfleet_check", "--quick", code=1)
    mended = paperless.manage("paperfleet_check", "--repair", code=1)
    assert "restored from originals/renamed.pdf" in mended
    stray = {"originals/stray.pdf": b"stray"}
    assert on_disk(folder) == right | stray
    assert "goes with --repair" in paperless.manage("paperfleet_check", "--delete-orphans", code=1)
    told = paperless.manage("paperfleet_check", "--repair", "--delete-orphans")
    assert "1 file, 5 B, that no document has" in told
    assert on_disk(folder) == right


_RENAME_SLOWLY = """
import os, sys, time
from django.db import transaction
from documents.models import Document
with transaction.atomic():
    Document.objects.filter(pk=2).update(filename="renamed.txt")
    os.rename("{0}/b.txt", "{0}/renamed.txt")
    print("moved", flush=True)
    time.sleep(float(sys.stdin.readline()))
"""


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_repair_waits_for_a_rename_that_is_not_committed(
    paperless: Installation, database: str, tmp_path: Path
) -> None:
    with ExitStack() as blocks:
        if database == "postgres":
            if reason := postgres_missing():
                pytest.skip(reason)
            running = blocks.enter_context(postgres_server())
            paperless = Installation(tmp_path / "on postgres", database_of(running))
            paperless.folder.mkdir()
            paperless.make()
        before = paperless.settings
        folder = use_folder(paperless)
        paperless.settings |= before
        paperless.manage("migrate_storage")
        originals = folder / "originals"
        content = (originals / "b.txt").read_bytes()
        rename = blocks.enter_context(paperless.started(_RENAME_SLOWLY.format(originals)))
        assert rename.stdout
        assert rename.stdin
        assert rename.stdout.readline() == "moved\n"
        began = time.monotonic()
        assert "missing: 1" in paperless.manage("paperfleet_check", code=1)
        # Long enough for the repair to begin before the commit, on a busy machine too.
        rename.stdin.write(f"{2 * (time.monotonic() - began) + 2}\n")
        rename.stdin.flush()
        assert "all agree" in paperless.manage("paperfleet_check", "--repair")
        assert rename.wait(timeout=60) == 0
    assert (originals / "renamed.txt").read_bytes() == content
    assert not (originals / "b.txt").exists()


def test_kill_9_and_again(paperless: Installation, server: S3Server) -> None:
    """Killed when the first documents have arrived; nothing is deleted, the next run goes on."""
    for number in range(5, 605):
        (paperless.documents / f"originals/{number}.txt").write_bytes(b"%d" % number * 2000)
    paperless.shell(_MANY)
    before = named(paperless.files())
    location = new_location()
    use(paperless, BUCKET, server.options(location))
    bucket = S3Bypass(server, location)
    with paperless.started(arguments=["manage.py", "migrate_storage"]) as migration:
        deadline = time.monotonic() + 60
        while len(bucket.names()) < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        migration.kill()
    assert 20 <= len(bucket.names()) < 600
    assert named(paperless.files()) == before
    assert "is not finished" in paperless.manage("check", code=1)
    assert "0 failed" in paperless.manage("migrate_storage")
    assert named(paperless.files()) == {}
    assert {n: bucket.read(n) for n in bucket.names() - {"paperfleet.json"}} == before


_MANY = """
import hashlib
from documents.models import Document
from paperless.version import __version__
hashed = hashlib.md5 if int(str(__version__[0])) == 2 else hashlib.sha256
Document.objects.bulk_create([
    Document(pk=n, title=str(n), mime_type="text/plain", filename="%d.txt" % n,
             checksum=hashed(b"%d" % n * 2000).hexdigest())
    for n in range(5, 605)
])
"""


def database_of(server: PostgresServer) -> dict[str, str]:
    return {
        "PAPERLESS_DBENGINE": "postgresql",
        "PAPERLESS_DBHOST": HOST,
        "PAPERLESS_DBPORT": str(server.port),
        "PAPERLESS_DBUSER": USER,
        "PAPERLESS_DBPASS": PASSWORD,
        "PAPERLESS_DBNAME": "postgres",
        "PAPERLESS_DBSSLMODE": "disable",
    }


def test_prefixes_are_stripped_and_come_back(paperless: Installation) -> None:
    rows = paperless.rows()
    paperless.shell(
        "from documents.models import Document as D; d = D.global_objects\n"
        "d.filter(pk=3).update(filename='originals/trashed/c.pdf')\n"
        "d.filter(pk=1).update(archive_filename='documents/archive/archived 1.pdf')\n"
        "d.filter(pk=2).update(filename='originals/not there.txt')\n"
    )
    carrying = paperless.rows()
    paperless.manage("migrate", "paperfleet", "0001")
    paperless.manage("migrate", "paperfleet")
    after = paperless.rows()
    assert [after[0], after[2], after[3]] == [rows[0], rows[2], rows[3]]
    assert after[1][1] == "originals/not there.txt"
    paperless.manage("migrate", "paperfleet", "0001")
    assert paperless.rows() == carrying
