"""Names of documents, and the folders that they need."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from django.conf import settings


def create_source_path_directory(source_path: Path) -> None:
    source_path.parent.mkdir(parents=True, exist_ok=True)


def delete_empty_directories(directory: Path, root: Path) -> None:
    if not directory.is_dir() or not directory.is_relative_to(root):
        return
    while directory != root and not any(directory.iterdir()):
        try:
            directory.rmdir()
        except OSError:
            return
        directory = directory.parent


def generate_filename(doc: Any, *, counter: int = 0, archive_filename: bool = False) -> Path:
    """Return what ``FILENAME_FORMAT`` makes of a title, or the number of the document."""
    wanted = settings.FILENAME_FORMAT or ""
    base = wanted.replace("{{ title }}", doc.title) if wanted else f"{doc.pk:07}"
    suffix = f"_{counter:02}" if counter else ""
    return Path(f"{base}{suffix}{'.pdf' if archive_filename else doc.file_type}")


def generate_unique_filename(doc: Any, *, archive_filename: bool = False) -> Path:
    root = settings.ARCHIVE_DIR if archive_filename else settings.ORIGINALS_DIR
    present = doc.archive_filename if archive_filename else doc.filename
    names = (
        generate_filename(doc, counter=counter, archive_filename=archive_filename)
        for counter in itertools.count()
    )
    return next(name for name in names if str(name) == present or not (root / name).exists())
