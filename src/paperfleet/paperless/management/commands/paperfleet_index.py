"""``manage.py paperfleet_index``: how far the search indexes of a fleet are."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from paperfleet.paperless.activation import documents
from paperfleet.paperless.search import stream, triggers
from paperfleet.running.printing import tell
from paperfleet.settings.app import FLEET


class Command(BaseCommand):
    """Shows; changes nothing unless it is asked to."""

    help = (
        "Show the search index of each web host of a fleet. Exit code 0 when there is one and each"
        " is within the limit, 1 otherwise."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--remove-triggers",
            action="store_true",
            help="Take away what notes changes for the search indexes, when the fleet is left.",
        )

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Run it."""
        found = documents.configuration
        is_fleet = found is not None and found.settings.fleet
        if options["remove_triggers"]:
            self._remove(is_fleet=is_fleet)
            return
        if found is None or not is_fleet:
            raise CommandError(f"{FLEET} is not on: paperless-ngx keeps its own search index")
        known = stream.replicas()
        for one in known:
            tell(self.stdout, stream.told(one))
        longest = found.settings.search_lag_seconds
        if not known or not all(one.is_current(longest) for one in known):
            raise SystemExit(1)

    def _remove(self, *, is_fleet: bool) -> None:
        if is_fleet:
            raise CommandError(f"{FLEET} is on: the search indexes need the triggers")
        if connection.vendor == "postgresql":
            triggers.remove()
        tell(self.stdout, "no trigger writes changes for search indexes")
