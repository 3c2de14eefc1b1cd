"""Export documents with a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from filelock import FileLock

from documents.models import Document
from documents.utils import copy_file_with_basic_stats


class Command(BaseCommand):
    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("target")

    def handle(self, *_: Any, **options: Any) -> None:
        target, manifest = Path(options["target"]).resolve(), []
        with FileLock(settings.MEDIA_LOCK):
            for document in Document.global_objects.order_by("pk"):
                entry = {"title": document.title, "filename": document.filename}
                (target / document.filename).parent.mkdir(parents=True, exist_ok=True)
                copy_file_with_basic_stats(document.source_path, target / document.filename)
                if document.has_archive_version:
                    entry["archive"] = f"archive-{document.pk}.pdf"
                    copy_file_with_basic_stats(document.archive_path, target / entry["archive"])
                    entry["archive_filename"] = document.archive_filename
                manifest.append(entry)
            (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
