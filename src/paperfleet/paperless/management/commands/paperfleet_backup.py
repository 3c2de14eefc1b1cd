"""``manage.py paperfleet_backup``: the part of ``paperfleet backup`` that knows paperless-ngx."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from paperfleet.backup.instance import COLLECTED, STATE
from paperfleet.backup.place import BackupPlace
from paperfleet.errors import PaperfleetError
from paperfleet.paperless.activation import version_of_paperless
from paperfleet.paperless.backup import collecting, restoring
from paperfleet.paperless.care import setup
from paperfleet.paperless.documents import rows
from paperfleet.printable import readable
from paperfleet.private import replace_text
from paperfleet.running.bar import Bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.backup.manifest import BackedUpFile
    from paperfleet.paperless.backup.bringing import BroughtFile


class Command(BaseCommand):
    """Does one of three things in a folder."""

    help = (
        "What `paperfleet backup` needs of this installation; it is not meant to be run by hand."
        " Answers lie as JSON in FOLDER."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("action", choices=["state", "collect", "restore"])
        parser.add_argument("folder", type=Path, help="The folder of the backup.")
        parser.add_argument(
            "--no-thumbnails", action="store_true", help="With collect: leave thumbnails out."
        )

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Run it."""
        place = BackupPlace(options["folder"].absolute())
        action: Callable[[BackupPlace, dict[str, Any]], None] = getattr(self, options["action"])
        try:
            setup.require_documents()
            action(place, options)
        except PaperfleetError as error:
            raise CommandError(readable(str(error))) from error

    def state(self, place: BackupPlace, _: dict[str, Any]) -> None:
        """Write down the version and how many documents there are."""
        count = rows.all_documents().count()
        _answer(place / STATE, {"version": version_of_paperless(), "documents": count})

    def collect(self, place: BackupPlace, options: dict[str, Any]) -> None:
        """Collect a backup in the folder."""
        with Bar("collect") as bar:

            def brought(one: BroughtFile) -> None:
                bar.advance(one.file.size if one.is_new else 0, failed=bool(one.file.fault))

            found = collecting.collect(
                place,
                thumbnails=not options["no_thumbnails"],
                planned=lambda count: bar.plan(count, 0),
                listener=brought,
            )
        counts = ("new", "new_size", "passes", "pruned")
        _answer(place / COLLECTED, {key: getattr(found, key) for key in counts})

    def restore(self, place: BackupPlace, _: dict[str, Any]) -> None:
        """Fill this installation with the backup in the folder."""
        manifest = place.manifest()
        files = [file for file in manifest.files if file.sha256]
        with Bar("restore", len(files), sum(file.size for file in files)) as bar:

            def brought(file: BackedUpFile) -> None:
                bar.advance(file.size)

            restoring.restore(place, version_of_paperless(), brought)


def _answer(path: Path, value: dict[str, object]) -> None:
    replace_text(path, json.dumps(value))
