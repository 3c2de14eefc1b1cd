"""Import what was exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from filelock import FileLock

from documents.file_handling import create_source_path_directory
from documents.models import Document
from documents.utils import copy_file_with_basic_stats


class Command(BaseCommand):
    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("source")

    def handle(self, *_: Any, **options: Any) -> None:
        source = Path(options["source"]).resolve()
        settings.ORIGINALS_DIR.mkdir(parents=True, exist_ok=True)
        settings.ARCHIVE_DIR.mkdir(parents=True, exist_ok=True)
        for entry in json.loads((source / "manifest.json").read_text(encoding="utf-8")):
            with FileLock(settings.MEDIA_LOCK):
                document = Document(
                    title=entry["title"],
                    filename=entry["filename"],
                    archive_filename=entry.get("archive_filename"),
                )
                Document.objects.bulk_create([document])
                if Path(document.source_path).is_file():
                    raise FileExistsError(document.source_path)
                create_source_path_directory(document.source_path)
                copy_file_with_basic_stats(source / entry["filename"], document.source_path)
                if document.archive_path:
                    create_source_path_directory(document.archive_path)
                    copy_file_with_basic_stats(source / entry["archive"], document.archive_path)
