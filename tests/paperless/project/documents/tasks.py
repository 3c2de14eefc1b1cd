"""Work on documents that are there: archive versions, the trash."""

from __future__ import annotations

import ctypes
import logging
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save
from filelock import FileLock

from documents import double_sided, matching
from documents.consumer import consume
from documents.data_models import ConsumableDocument, ConsumeFileSuccessResult
from documents.file_handling import create_source_path_directory, generate_unique_filename
from documents.models import Document
from documents.search import get_backend
from documents.utils import compute_checksum

_log = logging.getLogger("paperless.tasks")


def update_document_content_maybe_archive_file(pk: int, archive: Path) -> None:
    """Give a document an archive version, which a parser has left in ``archive``."""
    document = Document.objects.get(pk=pk)
    with transaction.atomic():
        name = str(generate_unique_filename(document, archive_filename=True))
        document.archive_filename = name
        Document.objects.filter(pk=pk).update(
            archive_checksum=compute_checksum(archive), archive_filename=name
        )
        with FileLock(settings.MEDIA_LOCK):
            create_source_path_directory(document.archive_path)
            shutil.move(archive, document.archive_path)


@shared_task(name="documents.tasks.bulk_update_documents")  # type: ignore[untyped-decorator]
def bulk_update_documents(document_ids: list[int]) -> None:
    """Let the files of documents follow what has changed for all of them."""
    documents = Document.objects.filter(pk__in=document_ids)
    for document in documents:
        post_save.send(Document, instance=document, created=False)
    with get_backend().batch_update() as batch:
        for document in documents:
            batch.add_or_update(document)


@shared_task(bind=True, name="documents.tasks.consume_file")  # type: ignore[untyped-decorator]
def consume_file(
    self: Any,  # noqa: ARG001  # bound as paperless-ngx's
    input_doc: ConsumableDocument,
    overrides: dict[str, Any] | None = None,
) -> ConsumeFileSuccessResult | str:
    """Make a document of a file; where its first line is ``split``, a task for each other line."""
    file = input_doc.original_file
    if not file.is_file():
        raise FileNotFoundError(f"Cannot consume {file}: File not found.")
    content = file.read_bytes()
    if content.startswith(b"unreadable"):
        raise ValueError(f"{file.name} is no document")
    if content.startswith(b"hold "):
        # PyDLL keeps the GIL, as pikepdf does while it saves.
        ctypes.PyDLL(None).usleep(int(content.split()[1]) * 1_000_000)
    if content.startswith(b"split\n"):
        folder = Path(tempfile.mkdtemp(dir=settings.SCRATCH_DIR))
        for number, line in enumerate(content.splitlines()[1:]):
            part = folder / f"{file.stem}_{number}.pdf"
            part.write_bytes(line)
            given = ConsumableDocument(part, original_path=file)
            consume_file.apply_async(kwargs={"input_doc": given})
        file.unlink()
        return "Barcode splitting complete!"
    if double_sided.SUBFOLDER in file.parts:
        try:
            double_sided.CollatePlugin(input_doc, overrides or {}).run()
        except double_sided.StopConsumeTaskError as stop:
            return str(stop)
    title = str((overrides or {}).get("title", file.stem))
    if content.startswith(b"path "):
        title = _told_of(input_doc, content.decode().removeprefix("path "))
    then = {b"tell": _tell, b"fail": _fail}.get(content[:4])
    with tempfile.TemporaryDirectory(dir=settings.SCRATCH_DIR) as folder:
        thumbnail = Path(folder) / "thumb.webp"
        thumbnail.write_bytes(b"RIFF")
        document = consume(file, title, thumbnail=thumbnail, then=then)
    return ConsumeFileSuccessResult(document_id=document.pk)


def _told_of(input_doc: ConsumableDocument, filter_path: str) -> str:
    """Tell whether a workflow for a path matches, and what barcodes take the file for.

    A file with an ``original_path`` is a part of another one to ``documents/barcodes.py``.
    """
    trigger = SimpleNamespace(filter_path=filter_path)
    matches, _ = matching.consumable_document_matches_workflow(input_doc, trigger)
    kind = "whole" if input_doc.original_path is None else "part"
    return f"{kind}, {'matches' if matches else 'does not match'}"


def _tell(document: Any) -> None:
    """Publish a task in the document's transaction, as a workflow does."""
    bulk_update_documents.delay([document.pk])


def _fail(document: Any) -> None:
    """Fail when the files are there, before the commit."""
    raise ValueError(f"{document.title} fails late")


@shared_task(name="documents.bulk_edit.delete")  # type: ignore[untyped-decorator]
def delete(doc_ids: list[int]) -> str:
    """Put documents into the trash."""
    for document in Document.objects.filter(pk__in=doc_ids):
        document.delete()
    with get_backend().batch_update() as batch:
        for number in doc_ids:
            batch.remove(number)
    return "OK"


def empty_trash(doc_ids: Any = None) -> Any:
    """Delete for good; whatever goes wrong is logged, as in paperless-ngx (documents/tasks.py)."""
    found = Document.deleted_objects.all()
    if doc_ids is not None:
        found = found.filter(id__in=doc_ids)
    try:
        return found.delete()[0]
    except Exception:  # noqa: BLE001  # so does paperless-ngx
        _log.exception("Error while emptying trash")
        return None


@shared_task(name="documents.tasks.tick")  # type: ignore[untyped-decorator]
def tick() -> None:
    """Stand for what the scheduler starts."""
