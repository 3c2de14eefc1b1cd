"""``manage.py paperfleet_drill``: the part of ``paperfleet backup drill`` that knows Django."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from paperfleet.backup.drilling import LOOKED_AT, PREPARED
from paperfleet.backup.place import BackupPlace
from paperfleet.errors import PaperfleetError
from paperfleet.paperless.activation import version_of_paperless
from paperfleet.paperless.backup import drilling
from paperfleet.printable import readable
from paperfleet.private import replace_text
from paperfleet.running.bar import Bar

if TYPE_CHECKING:
    from collections.abc import Callable


class Command(BaseCommand):
    """Does one of two things with a throw-away installation in a folder."""

    help = (
        "What `paperfleet backup drill` needs of its throw-away installation; it is not meant to be"
        " run by hand, and refuses any other installation. Answers lie as JSON in FOLDER."
    )
    requires_system_checks = ()  # there are no tables yet

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("action", choices=["prepare", "look"])
        parser.add_argument("folder", type=Path, help="The folder of the installation.")
        parser.add_argument("--restored", type=Path, help="With look: a folder with its manifest.")
        parser.add_argument("--seed", type=int, default=0, help="With look: chooses documents.")
        parser.add_argument("--known-broken", type=int, action="append", default=[])

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Run it."""
        folder = options["folder"].absolute()
        action: Callable[[Path, dict[str, Any]], None] = getattr(self, options["action"])
        try:
            drilling.require_throw_away(folder)
            action(folder, options)
        except PaperfleetError as error:
            raise CommandError(readable(str(error))) from error

    def prepare(self, folder: Path, _: dict[str, Any]) -> None:
        """Make the tables, and write down the version."""
        call_command("migrate", interactive=False, verbosity=0)
        replace_text(folder / PREPARED, json.dumps({"version": version_of_paperless()}))

    def look(self, folder: Path, options: dict[str, Any]) -> None:
        """Compare what is here with a manifest."""
        manifest = BackupPlace(options["restored"]).manifest()
        with Bar("look at") as bar:
            found = drilling.look(
                manifest,
                seed=options["seed"],
                known=options["known_broken"],
                planned=lambda count: bar.plan(count, 0),
                listener=lambda: bar.advance(0),
            )
        replace_text(folder / LOOKED_AT, json.dumps(found._asdict()))
