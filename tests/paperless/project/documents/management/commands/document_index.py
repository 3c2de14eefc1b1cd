"""The search index: there is none here, only the options of the command."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("command", choices=["reindex"])
        parser.add_argument("--if-needed", action="store_true")
        parser.add_argument("--no-progress-bar", action="store_true")

    def handle(self, *_: Any, **_options: Any) -> None:
        self.stdout.write("the index is up to date")
