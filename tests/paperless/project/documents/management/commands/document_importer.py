"""Import what was exported: all rows in one transaction, then the files, which must be new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import serializers
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models.signals import post_save
from filelock import FileLock

from documents.file_handling import create_source_path_directory
from documents.models import Document
from documents.settings import (
    EXPORTER_ARCHIVE_NAME,
    EXPORTER_FILE_NAME,
    EXPORTER_THUMBNAIL_NAME,
)
from documents.utils import copy_file_with_basic_stats
from paperless import version

_NAMES = (EXPORTER_FILE_NAME, EXPORTER_THUMBNAIL_NAME, EXPORTER_ARCHIVE_NAME)


class Command(BaseCommand):
    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("source")
        for name in ("--data-only", "--no-progress-bar"):
            parser.add_argument(name, action="store_true")

    def handle(self, *_: Any, **options: Any) -> None:
        source = Path(options["source"]).resolve()
        if not (source / "manifest.json").exists():
            raise CommandError("That directory doesn't appear to contain a manifest.json file.")
        manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
        about = json.loads((source / "metadata.json").read_text(encoding="utf-8"))
        if about["version"] != version.__full_version_str__:
            # The real one goes on with a warning; nobody may rely on that.
            raise CommandError(f"Version mismatch: importing {about['version']}")
        records = [one for one in manifest if one["model"] == "documents.document"]
        self.stdout.write("Checking the manifest")  # as the real one does, to where JSON goes too
        if not options["data_only"]:
            self._require_files(source, records)
        self._load(manifest)
        if not options["data_only"]:
            for record in records:
                self._import(source, record)
        call_command("document_index", "reindex", no_progress_bar=True)

    def _require_files(self, source: Path, records: list[dict[str, Any]]) -> None:
        for record in records:
            if EXPORTER_FILE_NAME not in record:
                raise CommandError("a record does not refer to an actual document file.")
            for name in filter(None, map(record.get, _NAMES)):
                if not (source / name).is_file():
                    raise CommandError(f"The manifest file refers to {name}, which is not there.")

    def _load(self, manifest: list[dict[str, Any]]) -> None:
        from documents.signals.handlers import update_filename_and_move_files

        rows = [{key: record[key] for key in ("model", "pk", "fields")} for record in manifest]
        post_save.disconnect(update_filename_and_move_files, sender=Document)
        try:
            with transaction.atomic():
                for row in serializers.deserialize("python", rows):
                    row.save()
        finally:
            post_save.connect(update_filename_and_move_files, sender=Document)

    def _import(self, source: Path, record: dict[str, Any]) -> None:
        settings.ORIGINALS_DIR.mkdir(parents=True, exist_ok=True)
        settings.ARCHIVE_DIR.mkdir(parents=True, exist_ok=True)
        settings.THUMBNAIL_DIR.mkdir(parents=True, exist_ok=True)
        document = Document.global_objects.get(pk=record["pk"])
        with FileLock(settings.MEDIA_LOCK):
            if Path(document.source_path).is_file():
                raise FileExistsError(document.source_path)
            create_source_path_directory(document.source_path)
            copy_file_with_basic_stats(source / record[EXPORTER_FILE_NAME], document.source_path)
            if record.get(EXPORTER_THUMBNAIL_NAME):
                copy_file_with_basic_stats(
                    source / record[EXPORTER_THUMBNAIL_NAME], document.thumbnail_path
                )
            if record.get(EXPORTER_ARCHIVE_NAME):
                create_source_path_directory(document.archive_path)
                copy_file_with_basic_stats(
                    source / record[EXPORTER_ARCHIVE_NAME], document.archive_path
                )
