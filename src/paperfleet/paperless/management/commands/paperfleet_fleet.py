"""``manage.py paperfleet_fleet``: what all hosts of a fleet must have alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from paperfleet.errors import PaperfleetError
from paperfleet.paperless import agreement, ownership
from paperfleet.paperless.activation import documents
from paperfleet.printable import readable
from paperfleet.running.printing import tell

if TYPE_CHECKING:
    from paperfleet.paperless.agreement import Fact


class Command(BaseCommand):
    """Shows it; changes it when it is asked to."""

    help = (
        "Show what all hosts of the fleet must have alike, and where this process differs."
        " Exit code 1 when it does."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012  # they refuse what is to be changed here

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--accept",
            action="store_true",
            help="Let the fleet have what this process has; with PAPERFLEET_FLEET off, end the"
            " fleet. Stop every process first.",
        )

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Run it."""
        if not ownership.has_tables():
            raise CommandError(
                "the tables of Paperfleet are not there yet: run `manage.py migrate`"
            )
        try:
            mine = self._facts()
            if options["accept"]:
                agreement.accept(mine)
            self._show(mine)
        except PaperfleetError as error:
            raise CommandError(readable(str(error))) from error
        agreed = agreement.known()
        if agreement.differences(mine, agreed) or (agreed and not mine):
            raise SystemExit(1)

    def _facts(self) -> list[Fact]:
        found = documents.configuration
        return agreement.facts(found) if found is not None and found.settings.fleet else []

    def _show(self, mine: list[Fact]) -> None:
        agreed, here = agreement.known(), {fact.name: fact for fact in mine}
        if not agreed:
            tell(self.stdout, "there is no fleet on this database")
        for name, known in agreed.items():
            fact = here.get(name)
            value = "a secret" if fact and fact.secret else repr(known.value)
            if fact is None:
                differs = "; this process has no word on it"
            elif fact.value != known.value:
                differs = f"; this process has {'another one' if fact.secret else fact.shown}"
            else:
                differs = ""
            tell(
                self.stdout,
                readable(f"{name}: {value}, since {known.since}, from {known.host}{differs}"),
            )
