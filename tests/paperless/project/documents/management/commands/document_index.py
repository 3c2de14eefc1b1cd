"""Build the search index, where that is needed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from documents.models import Document
from documents.search import get_backend, needs_rebuild, reset_backend, wipe_index


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("command", choices=["reindex"])
        parser.add_argument("--recreate", action="store_true")
        parser.add_argument("--if-needed", action="store_true")
        parser.add_argument("--no-progress-bar", action="store_true")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["if_needed"] and not needs_rebuild(settings.INDEX_DIR):
            self.stdout.write("the index is up to date")
            return
        if options["recreate"]:
            wipe_index(settings.INDEX_DIR)
        get_backend().rebuild(Document.objects.all())
        reset_backend()
