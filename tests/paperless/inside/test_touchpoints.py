"""What paperless-ngx does to documents from beginning to end, on the small project."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError
from documents.models import Document
from tests.paperless.inside.stores import store

if "project" not in str(importlib.import_module("documents").__file__):
    pytest.skip("its consumer wants real documents", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    Stored = MutableMapping[str, bytes]


@pytest.fixture(autouse=True)
def _local_folders_stay_empty() -> Iterator[None]:
    import os

    yield
    left = [
        name
        for folder in ("originals", "archive")
        for _, _, names in os.walk(f"{settings.MEDIA_ROOT}/documents/{folder}")
        for name in names
    ]
    assert left == []


@pytest.fixture
def consume(tmp_path: Path) -> Any:  # noqa: ANN401  # a function
    from documents import consumer

    def consumed(title: str, content: bytes = b"original", archive: bytes | None = None) -> Any:  # noqa: ANN401
        paths = []
        for number, some in enumerate([content, archive, b"thumbnail"]):
            path = tmp_path / f"{number}.pdf"
            path.write_bytes(some or b"")
            paths.append(path)
        return consumer.consume(
            paths[0], title, archive=paths[1] if archive else None, thumbnail=paths[2]
        )

    return consumed


@pytest.fixture
def by_title(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FILENAME_FORMAT", "{{ title }}")


def documents(stored: Stored) -> dict[str, bytes]:
    return {name: content for name, content in stored.items() if name != "paperfleet.json"}


@pytest.mark.usefixtures("by_title")
def test_consume(consume: Any, stored: Stored) -> None:  # noqa: ANN401
    document = consume("2024/Rechnung ä", archive=b"archive")
    assert documents(stored) == {
        "originals/2024/Rechnung ä.pdf": b"original",
        "archive/2024/Rechnung ä.pdf": b"archive",
    }
    assert document.checksum == hashlib.sha256(b"original").hexdigest()
    assert document.archive_checksum == hashlib.sha256(b"archive").hexdigest()
    assert Path(document.thumbnail_path).read_bytes() == b"thumbnail"
    consume("2024/Rechnung ä", b"second")
    assert stored["originals/2024/Rechnung ä_01.pdf"] == b"second"


def test_a_failed_consume_leaves_nothing(
    consume: Any,  # noqa: ANN401
    stored: Stored,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseError("the database is full")

    monkeypatch.setattr(Document, "save", fail)
    with pytest.raises(DatabaseError):
        consume("t")
    assert documents(stored) == {}
    assert Document.global_objects.count() == 0
    assert (tmp_path / "0.pdf").exists()


def test_a_consume_whose_storage_fails_leaves_no_row(consume: Any, stored: Stored) -> None:  # noqa: ANN401
    store.fail("save_with", times=None)
    with pytest.raises(OSError, match="a fault of the test"):
        consume("t")
    store.heal()
    assert documents(stored) == {}
    assert Document.global_objects.count() == 0
    consume("t")
    assert len(documents(stored)) == 1


@pytest.mark.usefixtures("by_title")
def test_rename_both_files(consume: Any, stored: Stored) -> None:  # noqa: ANN401
    document = consume("old/x", archive=b"archive")
    document.title = "new/y"
    document.save()
    assert documents(stored) == {
        "originals/new/y.pdf": b"original",
        "archive/new/y.pdf": b"archive",
    }
    again = Document.objects.get(pk=document.pk)
    assert (again.filename, again.archive_filename) == ("new/y.pdf", "new/y.pdf")


@pytest.mark.usefixtures("by_title")
@pytest.mark.parametrize("failing", ["originals/old.pdf", "archive/old.pdf"])
def test_a_rename_that_fails_is_taken_back(consume: Any, stored: Stored, failing: str) -> None:  # noqa: ANN401
    document = consume("old", archive=b"archive")
    before = documents(stored)
    document.title = "new"
    store.fail("move", failing, times=None)
    document.save()
    store.heal()
    again = Document.objects.get(pk=document.pk)
    assert (again.filename, again.archive_filename) == ("old.pdf", "old.pdf")
    assert documents(stored) == before
    again.save()
    assert set(documents(stored)) == {"originals/new.pdf", "archive/new.pdf"}


@pytest.mark.usefixtures("by_title")
@pytest.mark.parametrize("title", ["../../outside", "/etc/outside", "a/../../../../outside"])
def test_a_title_that_leads_outside_moves_nothing(consume: Any, stored: Stored, title: str) -> None:  # noqa: ANN401
    document = consume("inside")
    document.title = title
    document.save()
    assert documents(stored) == {"originals/inside.pdf": b"original"}
    assert Document.objects.get(pk=document.pk).filename == "inside.pdf"


def test_trash_and_emptying_it(consume: Any, stored: Stored) -> None:  # noqa: ANN401
    from documents import tasks

    document = consume("t", archive=b"archive")
    document.delete()
    assert len(documents(stored)) == 2
    assert tasks.empty_trash() == 1
    assert documents(stored) == {}
    assert Document.global_objects.count() == 0


def test_the_trash_folder(
    consume: Any,  # noqa: ANN401
    stored: Stored,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "trash").mkdir()
    monkeypatch.setattr(settings, "EMPTY_TRASH_DIR", tmp_path / "trash")
    document = consume("t")
    name = document.filename
    document.hard_delete()
    assert documents(stored) == {}
    assert (tmp_path / "trash" / name).read_bytes() == b"original"


def test_the_archiver(consume: Any, stored: Stored, tmp_path: Path) -> None:  # noqa: ANN401
    from documents import tasks

    document = consume("t")
    (tmp_path / "made.pdf").write_bytes(b"made")
    tasks.update_document_content_maybe_archive_file(document.pk, tmp_path / "made.pdf")
    assert stored[f"archive/{document.filename}"] == b"made"
    assert not (tmp_path / "made.pdf").exists()


def test_attachments(consume: Any) -> None:  # noqa: ANN401
    from documents import mail

    document = consume("t")
    assert mail.attachments([document.source_path]) == {document.filename: b"original"}


@pytest.mark.usefixtures("by_title")
def test_export_and_import(consume: Any, stored: Stored, tmp_path: Path) -> None:  # noqa: ANN401
    consume("a/b", archive=b"archive")
    consume("c")
    before = documents(stored)
    (tmp_path / "export").mkdir()
    call_command("document_exporter", str(tmp_path / "export"), no_thumbnail=True)
    assert (tmp_path / "export" / "a" / "b.pdf").read_bytes() == b"original"
    Document.global_objects.all()._raw_delete("default")
    for name in before:
        del stored[name]
    call_command("document_importer", str(tmp_path / "export"))
    assert documents(stored) == before
    Document.global_objects.all()._raw_delete("default")
    with pytest.raises(FileExistsError):
        call_command("document_importer", str(tmp_path / "export"))
    assert documents(stored) == before
