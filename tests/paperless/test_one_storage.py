"""Every process that has the app refuses when the documents of its database are somewhere else."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.paperless.children import SMALL, migrated
from tests.wide import WIDE

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

SETUP = "import django\ndjango.setup()\n"
WEB = f"{SETUP}from django.test import Client\nprint('answers', Client().get('/none').status_code)"
WORKER = f"{SETUP}from celery.signals import worker_init\nworker_init.send(None)\nprint('works')"
BEAT = f"{SETUP}from celery.signals import beat_init\nbeat_init.send(None)\nprint('beats')"
CONSUME = (
    SETUP
    + """
from pathlib import Path
from django.conf import settings
from documents.consumer import consume
new = Path(settings.SCRATCH_DIR) / "new.pdf"
new.write_bytes(b"new")
print("consumed", consume(new, "new").pk)
"""
)
RETITLE = (
    SETUP
    + """
from documents.models import Document
document = Document.objects.get()
document.title = "other"
document.save()
"""
)
DELETE = f"{SETUP}from documents.models import Document\nDocument.objects.get().hard_delete()"
SERVES_AND_CONSUMES = WEB.replace(SETUP, f"{SETUP}import sys\n", 1) + (
    "\nsys.stdin.readline()\n" + CONSUME.removeprefix(SETUP)
)


class Small:
    """The small project with a folder as its document storage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"

    def settings(self, store: Path | None = None, **options: str) -> dict[str, str]:
        given = {"root": str(store or self.store), **options}
        return {
            "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "paperfleet.LocalFilesystemBackend",
            "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": json.dumps(given),
        }

    def run(
        self, program: str | list[str], settings: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        arguments = ["-c", program] if isinstance(program, str) else ["manage.py", *program]
        return SMALL.run(arguments, SMALL.environment(self.folder, **settings))

    def good(self, program: str | list[str], settings: Mapping[str, str]) -> str:
        done = self.run(program, settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, program: str | list[str], settings: Mapping[str, str]) -> str:
        done = self.run(program, settings)
        assert done.returncode != 0, done.stdout + done.stderr
        assert "consumed" not in done.stdout
        return done.stderr

    def row(self) -> tuple[Any, ...]:
        with closing(sqlite3.connect(self.folder / "data_dir" / "db.sqlite3")) as database:
            found: tuple[Any, ...] = database.execute(
                "SELECT storage, storage_label FROM paperfleet_installation"
            ).fetchone()
        return found

    def local(self) -> list[str]:
        media = self.folder / "media_root"
        return [str(p.relative_to(media)) for p in media.rglob("*.pdf")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    migrated(SMALL, made)
    return made


@pytest.fixture
def small(model: Path, tmp_path: Path) -> Small:
    shutil.copytree(model, tmp_path / "small")
    return Small(tmp_path / "small")


@pytest.fixture(scope="module")
def filled(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Return a project with a document in its storage, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("filled") / "small"
    shutil.copytree(model, folder)
    small = Small(folder)
    small.good(CONSUME, small.settings())
    return small


EVERY = pytest.mark.parametrize(
    "program",
    [WEB, WORKER, BEAT, CONSUME, RETITLE, DELETE, ["check"], ["document_exporter", "/none"]],
    ids=["web", "worker", "scheduler", "consume", "title", "delete", "check", "command"],
)


def test_the_processes_that_have_the_settings_work(filled: Small) -> None:
    for program, printed in ((WEB, "answers 404"), (WORKER, "works"), (BEAT, "beats")):
        assert filled.good(program, filled.settings()).strip() == printed
    filled.good(["check"], filled.settings())


@EVERY
def test_a_process_without_the_settings_refuses(filled: Small, program: str | list[str]) -> None:
    told = filled.refused(program, {})
    assert f"the documents of this database are in file://{filled.store}" in told
    assert "this process would use paperless-ngx's own folder" in told
    assert "paperfleet_check --take-ownership" in told
    assert filled.local() == []


@EVERY
def test_a_process_with_another_storage_refuses(filled: Small, program: str | list[str]) -> None:
    other = filled.folder / "other"
    told = filled.refused(program, filled.settings(other))
    assert f"are in file://{filled.store}, and this process would use file://{other}" in told
    assert [path for path in other.rglob("*") if path.is_file()] == [], "it was taken"


def test_the_first_document_decides_where_the_others_go(small: Small) -> None:
    assert small.good(CONSUME, {}) == "consumed 1\n"
    assert small.row()[0] == "own folder"
    told = small.refused(["check"], small.settings())
    assert "is on the local disk, and not in" in told
    shutil.rmtree(small.folder / "media_root" / "documents" / "originals")  # on another host
    told = small.refused(["check"], small.settings())
    assert "are in paperless-ngx's own folder, and this process would use file://" in told


def test_a_worker_that_was_started_before_the_storage_was_named_refuses(small: Small) -> None:
    environment = SMALL.environment(small.folder)
    with SMALL.start(["-c", SERVES_AND_CONSUMES], environment) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "answers 404\n"
        small.good(CONSUME, small.settings())
        printed, told = worker.communicate("go on\n", timeout=60)
    assert worker.returncode != 0
    assert "consumed" not in printed
    assert "the documents of this database are in file://" in told
    assert small.local() == []


def test_documents_that_moved_stop_who_runs_with_the_old_settings(small: Small) -> None:
    small.good(CONSUME, {})
    environment = SMALL.environment(small.folder)
    with SMALL.start(["-c", SERVES_AND_CONSUMES], environment) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "answers 404\n"
        small.good(["migrate_storage"], small.settings())
        printed, told = worker.communicate("go on\n", timeout=60)
    assert worker.returncode != 0, printed
    assert "the documents of this database are in file://" in told


@WIDE
def test_settings_are_taken_away_after_the_way_back_and_not_before(small: Small) -> None:
    small.good(CONSUME, {})
    small.good(["migrate_storage"], small.settings())
    assert small.local() == []
    assert "the documents of this database are in file://" in small.refused(["check"], {})
    back = ["migrate_storage", f"--source-backend=file://{small.store}"]
    small.good(back, {})
    assert small.row() == ("own folder", "paperless-ngx's own folder")
    small.good(["check"], {})
    assert small.good(WEB, {}) == "answers 404\n"
    assert "own folder, and this process" in small.refused(["check"], small.settings())


def test_a_migration_says_what_it_did(small: Small) -> None:
    small.good(CONSUME, {})
    kept = small.good(["migrate_storage", "--no-delete"], small.settings())
    assert "1 copied, 0 skipped" in kept
    assert "nothing was deleted at the source (--no-delete)" in kept
    assert len(small.local()) == 1
    gone = small.good(["migrate_storage"], small.settings())
    assert "0 copied, 1 skipped" in gone
    assert "1 deleted at the source" in gone
    assert small.local() == []


@WIDE
def test_commands_that_mend_the_storage_run(small: Small) -> None:
    small.good(CONSUME, small.settings())
    for command in (["migrate"], ["showmigrations"], ["migrate_storage", "--help"]):
        small.good(command, {})
    shown = small.run(["paperfleet_check"], {})
    assert shown.returncode == 1
    assert "the documents of this database are in" in shown.stdout
    shutil.copytree(small.store / "originals", small.folder / "media_root/documents/originals")
    assert "all agree" in small.good(["paperfleet_check", "--take-ownership"], {})
    small.good(["check"], {})
    assert "own folder, and this process" in small.refused(WEB, small.settings())


# What must not be refused


@WIDE
def test_a_first_installation_starts_with_any_settings(small: Small) -> None:
    for settings in ({}, {}, small.settings(), small.settings()):
        small.good(["check"], settings)
        assert small.good(WEB, settings) == "answers 404\n"


@WIDE
def test_the_same_place_under_another_address_is_the_same(small: Small) -> None:
    small.good(CONSUME, small.settings())
    (small.folder / "link").symlink_to(small.store)
    before = small.row()
    small.good(WEB, small.settings(small.folder / "link"))
    small.good(CONSUME, small.settings(small.folder / "link"))
    small.good(CONSUME, small.settings())
    assert small.row()[1] == before[1]


def test_a_copy_of_the_storage_is_not_the_storage(small: Small) -> None:
    """Whoever comes last goes on, and nobody writes to the place that was left."""
    small.good(CONSUME, small.settings())
    copy = small.folder / "copy"
    shutil.copytree(small.store, copy)
    assert "answers" in small.good(WEB, small.settings(copy))
    assert "the documents of this database are in file://" in small.refused(
        CONSUME, small.settings()
    )
    assert small.good(CONSUME, small.settings(copy)) == "consumed 2\n"


@WIDE
def test_a_storage_that_was_marked_by_an_older_release_is_known(small: Small) -> None:
    small.good(CONSUME, small.settings())
    mark = small.store / "paperfleet.json"
    old = json.loads(mark.read_text())
    mark.write_text(json.dumps({"database": old["database"], "since": "2026-01-01"}))
    with closing(sqlite3.connect(small.folder / "data_dir" / "db.sqlite3")) as database:
        database.execute("UPDATE paperfleet_installation SET storage='', storage_label=''")
        database.commit()
    told = small.refused(["check"], {})
    assert "the database has 1 documents, and they are not in paperless-ngx's own folder" in told
    small.good(CONSUME, small.settings())
    assert small.row()[0]
    small.refused(["check"], {})


def test_a_database_that_was_restored_beside_a_new_storage_is_told(small: Small) -> None:
    small.good(CONSUME, small.settings())
    shutil.rmtree(small.store)
    small.store.mkdir()
    told = small.refused(["check"], small.settings())
    assert "the database has 1 documents, and they are not in file://" in told
    assert list(small.store.iterdir()) == []
    small.run(["paperfleet_check", "--take-ownership"], small.settings())
    small.good(["check"], small.settings())


def test_tables_of_an_older_release_ask_for_migrate(small: Small) -> None:
    small.good(["migrate", "paperfleet", "0003"], {})
    for settings in ({}, small.settings()):
        for program in (WEB, WORKER, ["check"]):
            assert "manage.py migrate" in small.refused(program, settings)
    small.good(["migrate"], {})
    small.good(WEB, {})


@pytest.mark.parametrize("program", [WEB, WORKER], ids=["web", "worker"])
def test_without_tables_no_storage_is_used(small: Small, program: str) -> None:
    small.good(["migrate", "paperfleet", "zero"], {})
    assert "the tables of Paperfleet are not there yet" in small.refused(program, small.settings())
    small.good(program, {})
    small.good(["migrate"], small.settings())
    small.good(program, small.settings())
