"""A worker of paperless-ngx in a process of its own: does what lines of standard input say.

``save TITLE CONTENT`` · ``rename TITLE TITLE`` · ``delete TITLE`` · ``fail TITLE``; answers a line.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import django

django.setup()

from django.db import transaction  # noqa: E402  # Django has no models before
from documents.file_handling import create_source_path_directory  # noqa: E402
from documents.models import Document  # noqa: E402
from documents.signals.handlers import (  # noqa: E402
    cleanup_document_deletion,
    update_filename_and_move_files,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@transaction.atomic
def save(title: str, content: str) -> None:
    """Do what the consumer does: row and files in one transaction."""
    about = {"title": title, "mime_type": "application/pdf", "checksum": title}
    document = Document.objects.create(**about)
    document.filename = document.archive_filename = f"{title}.pdf"
    for path in (document.source_path, document.archive_path):
        create_source_path_directory(path)
        with path.open("wb") as stream:
            stream.write(content.encode())
    Document.objects.filter(pk=document.pk).update(
        filename=document.filename, archive_filename=document.archive_filename
    )
    if content == "fail":
        raise ArithmeticError


def fail(title: str) -> None:
    """Let a consumption fail after its files were written."""
    try:
        save(title, "fail")
    except ArithmeticError:
        return


def rename(old: str, new: str) -> None:
    """Rename as a workflow does, which ends in ``.update()``."""
    Document.objects.filter(title=old).update(title=new)
    update_filename_and_move_files(Document, Document.objects.get(title=new))


@transaction.atomic
def delete(title: str) -> None:
    """Do what emptying the trash does."""
    document = Document.objects.get(title=title)
    Document.objects.filter(pk=document.pk).update(deleted_at=None)
    cleanup_document_deletion(Document, document)
    Document.global_objects.filter(pk=document.pk)._raw_delete("default")


VERBS: dict[str, Callable[..., None]] = {
    "save": save,
    "rename": rename,
    "delete": delete,
    "fail": fail,
}

if __name__ == "__main__":
    for line in sys.stdin:
        verb, *words = line.split()
        VERBS[verb](*words)
        print("done", flush=True)
