"""``manage.py paperfleet_schema``: are the tables those of this version? The launcher asks."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from paperfleet.paperless.schema import schema, told
from paperfleet.running.exitcodes import FAILED, UNFINISHED
from paperfleet.running.printing import tell


class Command(BaseCommand):
    """Changes nothing."""

    help = "Say whether the tables are those of this version: exit code 0 yes, 4 older, 3 newer."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's declaration

    def handle(self, *_: Any, **_options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Run it."""
        found = schema()
        if found.newer:
            tell(self.stdout, told(found.newer))
            raise SystemExit(FAILED)
        if found.missing:
            tell(self.stdout, f"{len(found.missing)} migrations are missing: {found.missing[0]} …")
            raise SystemExit(UNFINISHED)
        tell(self.stdout, "the tables are those of this version")
