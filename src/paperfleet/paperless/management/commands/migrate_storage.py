"""``manage.py migrate_storage``: bring all documents to the storage that is configured."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from paperfleet.errors import ConfigurationError, PaperfleetError
from paperfleet.paperless.agreement import require_no_work
from paperfleet.paperless.care import setup
from paperfleet.paperless.care.migrating import DocumentMigration, MigratedDocuments, prove_apart
from paperfleet.paperless.care.surveying import Part, survey
from paperfleet.paperless.documents import active
from paperfleet.printable import readable
from paperfleet.running.migratebar import MigrationBar
from paperfleet.running.printing import tell
from paperfleet.running.words import files_text, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.paperless.homes import Home

_SHOWN = 10


class Command(BaseCommand):
    """Copies, proves every file by its bytes, and only then deletes at the source."""

    help = (
        "Bring all documents from a storage, or from paperless-ngx's own folder, to the storage"
        " that is configured. Stop paperless-ngx first. Cut off at any point, run it again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument("--dry-run", action="store_true", help="Say what there is to do.")
        parser.add_argument(
            "--no-delete", action="store_true", help="Keep everything at the source."
        )
        parser.add_argument(
            "--source-backend",
            default="",
            help="The storage to come from; paperless-ngx's own folder when left out.",
        )
        parser.add_argument(
            "--source-options",
            default="",
            help="Its options, a JSON object; PAPERFLEET_SOURCE_OPTIONS keeps secrets off here.",
        )

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Run it; ends with exit code 1 when something failed or differs from the database."""
        try:
            with active.unmounted():
                good = self._run(options)
        except PaperfleetError as error:
            raise CommandError(readable(str(error))) from error
        if not good:
            raise SystemExit(1)

    def _run(self, options: dict[str, Any]) -> bool:
        dry = bool(options["dry_run"])
        old = setup.source(options["source_backend"], parsed(options["source_options"]))
        new = setup.destination(looking=dry)
        setup.require_apart(old, new)
        mine = setup.installation()
        with old, new:
            setup.require_ours(new, mine, take=False)
            areas = setup.areas(old, new)
            if not dry:
                prove_apart(old, new, areas, delete=not options["no_delete"])
            parts = survey(old, new, areas)
            self._show_plan(parts, old, new)
            setup.require_sensible(parts, old)
            if dry:
                return True
            require_no_work("their files lie in the storage that the documents would leave")
            setup.require_ours(new, mine, take=True)
            setup.note_source(mine, old.label)
            result = self._migrate(
                parts,
                old,
                new,
                delete=not options["no_delete"],
                proven=lambda: setup.note_arrival(mine, new),
            )
        self._show_result(result, delete=not options["no_delete"])
        return result.good

    def _migrate(
        self,
        parts: list[Part],
        old: Home,
        new: Home,
        *,
        delete: bool,
        proven: Callable[[], object],
    ) -> MigratedDocuments:
        folder = Path(settings.DATA_DIR) / "paperfleet"
        files = sum(len(part.files) for part in parts)
        with MigrationBar("migrate", files, sum(part.size for part in parts)) as bar:
            migration = DocumentMigration(old, new, folder, bar)
            with signals_to(migration.stop):
                return migration.run(parts, delete=delete, proven=proven)

    def _show_plan(self, parts: list[Part], old: Home, new: Home) -> None:
        tell(self.stdout, f"from {old.label}", f"to   {new.label}")
        for part in parts:
            tell(
                self.stdout,
                f"{part.area}: {files_text(len(part.files))} ({size_text(part.size)}) at the"
                f" source, {len(part.there):,} of these names at the destination,"
                f" {len(part.only_there):,} at the destination alone",
            )
        missing = [f"{part.area}/{name}" for part in parts for name in part.missing]
        unlisted = [f"{part.area}/{name}" for part in parts for name in part.unlisted]
        obstacles = [
            f"{part.area}/{name}: {reason}"
            for part in parts
            for name, reason in part.obstacles.items()
        ]
        self._list("warning: missing at the source, skipped", missing)
        self._list("warning: at the source, in no row of the database, left there", unlisted)
        self._list("warning: at the source, and cannot be read as a file, left there", obstacles)

    def _show_result(self, result: MigratedDocuments, *, delete: bool) -> None:
        deleted = f"{result.deleted:,} deleted at the source"
        if not delete:
            deleted = "nothing was deleted at the source (--no-delete)"
        tell(
            self.stdout,
            f"{result.copied:,} copied, {result.skipped:,} skipped (at the destination already),"
            f" {len(result.missing):,} missing, {len(result.failed):,} failed; {deleted}",
        )
        self._list("failed", [f"{name}: {why}" for name, why in result.failed.items()])
        if result.differing:
            differing = [f"{name}: {why}" for name, why in result.differing.items()]
            self._list("differs from the database, copied as it is, kept at the source", differing)
        if result.stopped:
            tell(self.stderr, f"stopped: {result.stopped}")
        if not result.complete:
            tell(
                self.stderr,
                "Not complete: nothing is deleted before everything is proven. Run the same command"
                " again to go on; until then paperless-ngx does not start on this storage.",
            )

    def _list(self, title: str, lines: list[str]) -> None:
        if not lines:
            return
        tell(self.stderr, f"{title}: {len(lines):,}")
        for line in lines[:_SHOWN]:
            tell(self.stderr, f"  {readable(line)}")
        if len(lines) > _SHOWN:
            tell(self.stderr, f"  … and {len(lines) - _SHOWN:,} more")


def parsed(text: str) -> dict[str, object]:
    """Return the object that ``--source-options`` has; raise ``ConfigurationError``."""
    if not text:
        return {}
    try:
        options = json.loads(text)
    except ValueError:
        options = None  # the text may hold a secret, and so would the error
    if not isinstance(options, dict):
        raise ConfigurationError("--source-options is not a JSON object", hint='Such as {"a": "b"}')
    return options


@contextmanager
def signals_to(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call ``stop``, once each; a second one ends the process as ever."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def handle(number: int, frame: object) -> None:  # noqa: ARG001  # its signature
        signal.signal(number, before[signal.Signals(number)])
        stop()

    for number in numbers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
