"""Work on documents that are there: archive versions, the trash."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Any

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save
from filelock import FileLock

from documents.file_handling import create_source_path_directory, generate_unique_filename
from documents.models import Document
from documents.utils import compute_checksum

if TYPE_CHECKING:
    from pathlib import Path


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
    for document in Document.objects.filter(pk__in=document_ids):
        post_save.send(Document, instance=document, created=False)


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


@shared_task(name="documents.tasks.consume_file")  # type: ignore[untyped-decorator]
def consume_file(name: str) -> None:
    """Say that a file was handed over; nothing is made of it."""
    _log.warning("consumed %s", name)
