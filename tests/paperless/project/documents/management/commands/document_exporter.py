"""Export documents with a manifest."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core import serializers
from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from filelock import FileLock
from paperless.models import ApplicationConfiguration

from documents.models import Document
from documents.settings import (
    EXPORTER_ARCHIVE_NAME,
    EXPORTER_FILE_NAME,
    EXPORTER_THUMBNAIL_NAME,
)
from documents.utils import copy_file_with_basic_stats
from paperless import version


class Command(BaseCommand):
    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("target")
        for name in ("--data-only", "--no-thumbnail", "--no-archive", "--no-progress-bar"):
            parser.add_argument(name, action="store_true")

    def handle(self, *_: Any, **options: Any) -> None:
        target = Path(options["target"]).resolve()
        if not target.is_dir():
            raise CommandError("That path doesn't exist")
        with FileLock(settings.MEDIA_LOCK):
            self._dump(target, options)

    def _dump(self, target: Path, options: dict[str, Any]) -> None:
        manifest = serializers.serialize("python", ApplicationConfiguration.objects.all())
        taken: set[str] = set()
        # paperless-ngx 2 leaves the trash out.
        is_old = version.__full_version_str__.startswith("2.")
        documents = Document.objects if is_old else Document.global_objects
        for document in documents.order_by("pk"):
            (record,) = serializers.serialize("python", [document])
            name = _name(document, taken)
            files = {EXPORTER_FILE_NAME: (name, document.source_path)}
            if not options["no_thumbnail"]:
                named = f"{name.removesuffix(document.file_type)}-thumbnail.webp"
                files[EXPORTER_THUMBNAIL_NAME] = (named, document.thumbnail_path)
            if not options["no_archive"] and document.has_archive_version:
                named = f"{name.removesuffix(document.file_type)}-archive.pdf"
                files[EXPORTER_ARCHIVE_NAME] = (named, document.archive_path)
            for key, (exported, path) in files.items():
                record[key] = exported
                if not options["data_only"]:
                    (target / exported).parent.mkdir(parents=True, exist_ok=True)
                    copy_file_with_basic_stats(path, target / exported)
            manifest.append(record)
        text = json.dumps(manifest, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
        (target / "manifest.json").write_text(text, encoding="utf-8")
        about = json.dumps({"version": version.__full_version_str__})
        (target / "metadata.json").write_text(about, encoding="utf-8")


def _name(document: Any, taken: set[str]) -> str:
    """Return a name that no other exported document has."""
    stem, number = PurePosixPath(str(document.title or document.pk)), 0
    while True:
        name = f"{stem}{f'_{number:02}' if number else ''}{document.file_type}"
        if name not in taken:
            taken.add(name)
            return name
        number += 1
