"""New documents: rows and files in one transaction."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from filelock import FileLock

from documents.file_handling import create_source_path_directory, generate_unique_filename
from documents.models import Document
from documents.search import get_backend
from documents.utils import compute_checksum, copy_basic_file_stats

if TYPE_CHECKING:
    from collections.abc import Callable


def consume(
    original: Path,
    title: str,
    *,
    archive: Path | None = None,
    thumbnail: Path | None = None,
    then: Callable[[Any], object] | None = None,
) -> Any:
    """Make a document; ``then`` is told of it in its transaction, as workflows are."""
    with transaction.atomic():
        document = Document.objects.create(
            title=title, checksum=compute_checksum(original), mime_type="application/pdf"
        )
        with FileLock(settings.MEDIA_LOCK):
            document.filename = str(generate_unique_filename(document))
            create_source_path_directory(document.source_path)
            _write(original, document.source_path)
            if thumbnail is not None:
                document.thumbnail_path.parent.mkdir(parents=True, exist_ok=True)
                _write(thumbnail, document.thumbnail_path)
            if archive is not None:
                name = generate_unique_filename(document, archive_filename=True)
                document.archive_filename = str(name)
                create_source_path_directory(document.archive_path)
                _write(archive, document.archive_path)
                document.archive_checksum = compute_checksum(document.archive_path)
        document.save()
        get_backend().add_or_update(document, document.get_effective_content())
        if then is not None:
            then(document)
        original.unlink()
    return document


def _write(source: Path, target: Path) -> None:
    with Path(source).open("rb") as reading, Path(target).open("wb") as writing:
        shutil.copyfileobj(reading, writing)
    copy_basic_file_stats(source, target)
