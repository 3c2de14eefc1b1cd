"""The outbox: a row for each change, in its transaction; read without missing one; mirrored."""

from __future__ import annotations

import importlib
import json
import shutil
import threading
import time
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone
from documents.models import Document
from tests.paperless.inside.stores import LIKE_A_BUCKET, memory, store

from paperfleet.errors import NotFoundError
from paperfleet.mirror.watch.choose import Hint
from paperfleet.paperless.activation import documents
from paperfleet.paperless.documents import bulkmoves
from paperfleet.paperless.models import DocumentChange
from paperfleet.paperless.outbox import mirroring, outbox
from paperfleet.storage.full import full
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

    Stored = MutableMapping[str, bytes]

Row = tuple[str, str, str, str]


@pytest.fixture(autouse=True)
def _empty(store: object) -> Iterator[None]:  # noqa: ARG001  # it removes documents
    DocumentChange.objects.all().delete()
    yield
    DocumentChange.objects.all().delete()


def rows() -> list[Row]:
    return [(one.kind, one.area, one.name, one.previous) for one in DocumentChange.objects.all()]


class Stop(Exception):  # noqa: N818
    pass


def test_each_change_has_a_row(originals: Path, archive: Path, tmp_path: Path) -> None:
    (originals / "a.pdf").write_bytes(b"1")
    (originals / "a.pdf").write_bytes(b"2")
    shutil.copy(originals / "a.pdf", archive / "a.pdf")
    shutil.move(originals / "a.pdf", originals / "f" / "b.pdf")
    (archive / "a.pdf").rename(archive / "c.pdf")
    shutil.move(archive / "c.pdf", tmp_path / "out.pdf")
    shutil.move(tmp_path / "out.pdf", archive / "in.pdf")
    (originals / "f" / "b.pdf").unlink()
    assert rows() == [
        ("saved", "originals", "a.pdf", ""),
        ("saved", "originals", "a.pdf", ""),
        ("saved", "archive", "a.pdf", ""),
        ("moved", "originals", "f/b.pdf", "a.pdf"),
        ("moved", "archive", "c.pdf", "a.pdf"),
        ("deleted", "archive", "", "c.pdf"),
        ("saved", "archive", "in.pdf", ""),
        ("deleted", "originals", "", "f/b.pdf"),
    ]


def test_moves_ahead_have_a_row_each(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Document(title=title, filename=f"old/{title}.pdf") for title in "abc"]
    numbers = [Document.objects.bulk_create([document])[0].pk for document in found]
    for title in "ab":
        stored[f"originals/old/{title}.pdf"] = b"1"
    monkeypatch.setattr(
        bulkmoves, "generate_name", lambda document, **_: f"new/{document.title}.pdf"
    )
    bulkmoves.move_ahead(numbers)
    assert sorted(rows()) == [
        ("moved", "originals", f"new/{title}.pdf", f"old/{title}.pdf") for title in "ab"
    ]


def test_what_changes_nothing_has_none(originals: Path) -> None:
    (originals / "a.pdf").write_bytes(b"1")
    DocumentChange.objects.all().delete()
    (originals / "a.pdf").read_bytes()
    list(originals.iterdir())
    (originals / "folder").mkdir()
    with pytest.raises(FileNotFoundError):
        (originals / "none.pdf").unlink()
    store.fail("save_with", times=None)
    with pytest.raises(OSError, match="a fault"):
        (originals / "b.pdf").write_bytes(b"x")
    assert rows() == []


@pytest.mark.usefixtures("stored")
def test_a_rename_that_ends_in_an_update_has_a_row(
    originals: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FILENAME_FORMAT", "{{ title }}")
    (originals / "old.pdf").write_bytes(b"A")
    (archive / "old.pdf").write_bytes(b"B")
    document = Document(title="old", mime_type="application/pdf", checksum="1")
    document.filename = document.archive_filename = "old.pdf"
    Document.objects.bulk_create([document])
    document = Document.objects.get()
    DocumentChange.objects.all().delete()
    Document.objects.filter(pk=document.pk).update(title="new")
    document.refresh_from_db()
    handlers = importlib.import_module("documents.signals.handlers")
    handlers.update_filename_and_move_files(Document, document)
    assert Document.objects.get().filename == "new.pdf"
    assert rows() == [
        ("moved", "originals", "new.pdf", "old.pdf"),
        ("moved", "archive", "new.pdf", "old.pdf"),
    ]


def test_rows_are_of_the_transaction(originals: Path) -> None:
    seen: list[int] = []

    def other() -> None:
        seen.append(DocumentChange.objects.count())
        connections.close_all()

    with transaction.atomic():
        (originals / "a.pdf").write_bytes(b"1")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(30)
    assert seen == [0]
    assert len(rows()) == 1


def test_what_is_rolled_back_tells_its_opposite_to_who_saw_it(originals: Path) -> None:
    for name in ("moved.pdf", "replaced.pdf", "deleted.pdf"):
        (originals / name).write_bytes(b"1")
    DocumentChange.objects.all().delete()
    with suppress(Stop), transaction.atomic():
        (originals / "new.pdf").write_bytes(b"1")
        shutil.move(originals / "moved.pdf", originals / "there.pdf")
        (originals / "replaced.pdf").write_bytes(b"2")
        (originals / "deleted.pdf").unlink()
        raise Stop
    assert rows() == [
        ("saved", "originals", "replaced.pdf", ""),
        ("moved", "originals", "moved.pdf", "there.pdf"),
        ("deleted", "originals", "", "new.pdf"),
    ]


def test_a_savepoint_that_is_rolled_back(originals: Path, stored: Stored) -> None:
    with transaction.atomic():
        with suppress(Stop), transaction.atomic():
            (originals / "a.pdf").write_bytes(b"1")
            raise Stop
        (originals / "b.pdf").write_bytes(b"1")
    assert rows() == [
        ("deleted", "originals", "", "a.pdf"),
        ("saved", "originals", "b.pdf", ""),
    ]
    assert "originals/a.pdf" not in stored


def test_a_row_that_cannot_be_written_is_an_error_and_a_rollback(
    originals: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise DatabaseError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(DocumentChange.objects, "create", fail)
        with pytest.raises(DatabaseError), transaction.atomic():
            (originals / "a.pdf").write_bytes(b"1")
    assert "originals/a.pdf" not in stored
    assert not (originals / "a.pdf").exists()


def test_without_its_table_nothing_is_told(
    originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the app's first migration paperless-ngx's own may move documents."""
    monkeypatch.setattr(outbox, "_table", outbox._OutboxTable())
    monkeypatch.setattr(connection.introspection, "table_names", lambda _: [])
    (originals / "a.pdf").write_bytes(b"1")
    monkeypatch.undo()
    assert rows() == []


def make(pk: int, name: str = "x") -> None:
    DocumentChange.objects.create(pk=pk, area="originals", name=name)


def numbers(reader: outbox.Reader) -> list[int]:
    return [change.pk for change in reader.read()]


def test_a_number_that_commits_late_is_read() -> None:
    reader = outbox.Reader(100)
    assert numbers(reader) == []
    make(101)
    make(104)
    assert numbers(reader) == [101, 104]
    make(102)
    make(105)
    assert numbers(reader) == [102, 105]
    make(103)
    assert numbers(reader) == [103]
    assert numbers(reader) == []
    assert reader._missing == {}


def test_a_number_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = outbox.Reader(0)
    make(1)
    make(3)
    assert numbers(reader) == [1, 3]
    assert set(reader._missing) == {2}
    monkeypatch.setattr(outbox, "LATE", 0.0)
    assert numbers(reader) == []
    assert reader._missing == {}
    make(100_000)
    assert numbers(reader) == [100_000]
    assert reader._missing == {}, "what was pruned is not waited for"


def test_missing_numbers_are_bounded() -> None:
    reader = outbox.Reader(0)
    for pk in range(300, 3001, 300):
        make(pk)
    numbers(reader)
    assert len(reader._missing) == 500
    assert min(reader._missing) > 2400


def test_old_changes_are_pruned() -> None:
    make(1)
    make(2)
    DocumentChange.objects.filter(pk=1).update(happened=timezone.now() - timedelta(days=8))
    assert outbox.prune(9) == 0
    assert numbers(outbox.Reader(0, keep_days=7)) == [2]
    assert [change.pk for change in DocumentChange.objects.all()] == [2]


def told(*arguments: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("paperfleet_events", *arguments, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_command_prints_json_lines(originals: Path) -> None:
    Document.objects.bulk_create(
        [Document(title="t", filename="ä.pdf", mime_type="application/pdf", checksum="1")]
    )
    (originals / "x.pdf").write_bytes(b"1")
    shutil.move(originals / "x.pdf", originals / "ä.pdf")
    (originals / "y.pdf").write_bytes(b"1")
    (originals / "y.pdf").unlink()
    lines = told()
    assert [(one["change"], one["name"], one["previous"]) for one in lines] == [
        ("saved", "x.pdf", None),
        ("moved", "ä.pdf", "x.pdf"),
        ("saved", "y.pdf", None),
        ("deleted", None, "y.pdf"),
    ]
    assert lines[1]["document"] == Document.objects.get().pk
    assert lines[0]["document"] is None
    assert {"id", "happened", "change", "area", "name", "previous", "document"} == set(lines[0])
    assert told("--after", str(lines[1]["id"])) == lines[2:]
    assert told("--after", str(lines[-1]["id"])) == []


def test_the_command_needs_events(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    assert documents.configuration is not None
    found = documents.configuration
    without = replace(found, settings=replace(found.settings, events=False))
    monkeypatch.setattr(documents, "configuration", without)
    with pytest.raises(CommandError, match="PAPERFLEET_EVENTS is not on"):
        told()


def test_only_documents_are_mirrored(stored: Stored) -> None:
    for name in ("originals/a.pdf", "archive/b.pdf", "thumbnails/1.webp", "aside/1/originals/a"):
        stored[name] = b"x"
    source = mirroring.source_of(memory)
    with full(source.storage) as storage:
        assert list(storage.list_files()) == ["archive/b.pdf", "originals/a.pdf"]
        assert {one.name for one in storage.list_stats()} == set(storage.list_files())
        assert list(storage.list_files("originals")) == ["originals/a.pdf"]
        assert list(storage.list_files("thumbnails")) == []
        assert storage.stat("originals/a.pdf").size == 1
        with pytest.raises(NotFoundError):
            storage.stat("paperfleet.json")
        with pytest.raises(AssertionError, match="must not write"):
            storage.delete("originals/a.pdf")
    assert memory.capabilities == LIKE_A_BUCKET


def test_every_storage_lists_documents_alone() -> None:
    with MemoryBackend() as everything:
        everything.files["originals/a.pdf"] = everything.files["x.pdf"] = b"x"
        documents_alone = mirroring.DocumentsAlone(everything)
        assert [one.name for one in documents_alone.survey()] == ["originals/a.pdf"]
        assert [one.name for one in documents_alone.survey("originals/a.pdf")] == [
            "originals/a.pdf"
        ]
        assert list(documents_alone.survey("x.pdf")) == []


def test_the_watcher_hints(originals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirroring, "LOOK_AGAIN", (0.2, 0.4))
    (originals / "before.pdf").write_bytes(b"x")
    with mirroring.OutboxWatcher(poll_seconds=0.05) as watcher:
        assert watcher.wait(0.1) == []
        (originals / "a.pdf").write_bytes(b"x")
        assert watcher.wait(5) == [Hint("originals/a.pdf")]
        shutil.move(originals / "a.pdf", originals / "b.pdf")
        assert watcher.wait(5) == [Hint("originals/b.pdf", partner="originals/a.pdf")]
        (originals / "b.pdf").unlink()
        found: list[Hint] = []
        for _ in range(3):  # on a slow machine two of them come at once
            found += watcher.wait(5) if len(found) < 3 else []
        assert found == [Hint("originals/b.pdf")] * 3, "it is looked at again"
        assert watcher.wait(0.1) == []
        threading.Timer(0.1, watcher.wake).start()
        began = time.monotonic()
        assert watcher.wait(20) == []
        assert time.monotonic() - began < 10
        assert "outbox" in watcher.description


def test_a_database_that_is_away_delays_and_loses_nothing(
    originals: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise DatabaseError("it restarts")

    with mirroring.OutboxWatcher(poll_seconds=0.05) as watcher:
        with monkeypatch.context() as patch, caplog.at_level("WARNING", "paperfleet.paperless"):
            patch.setattr(outbox.Reader, "read", fail)
            (originals / "a.pdf").write_bytes(b"x")
            assert watcher.wait(0.2) == []
        assert caplog.text.count("the outbox cannot be read") == 1
        assert watcher.wait(5) == [Hint("originals/a.pdf")]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_a_transaction_that_commits_after_a_later_one_is_not_passed_over(originals: Path) -> None:
    reader = outbox.Reader(outbox.newest())
    written, go = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            (originals / "slow.pdf").write_bytes(b"1")
            written.set()
            assert go.wait(30)
        connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(30)
    (originals / "quick.pdf").write_bytes(b"1")
    assert [change.name for change in reader.read()] == ["quick.pdf"]
    go.set()
    thread.join(30)
    assert [change.name for change in reader.read()] == ["slow.pdf"]
    assert reader.read() == []
