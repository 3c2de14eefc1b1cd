"""``manage.py paperfleet_events``: tell of changes of documents, and mirror them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, close_old_connections
from documents.models import Document

from paperfleet.errors import ConfigurationError, PaperfleetError
from paperfleet.mirror.watch.wakeup import Wakeup
from paperfleet.paperless.activation import documents
from paperfleet.paperless.areas import FIELDS
from paperfleet.paperless.outbox import mirroring, outbox
from paperfleet.printable import readable, readable_json
from paperfleet.running.exitcodes import FINE
from paperfleet.running.mirror import keep_mirroring, prepare
from paperfleet.running.printing import tell
from paperfleet.running.stopping import Stopper, signals_to
from paperfleet.settings.app import EVENTS
from paperfleet.settings.places import default_journal
from paperfleet.storage.full import full

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.paperless.config import AppConfiguration
    from paperfleet.paperless.models import DocumentChange


class Command(BaseCommand):
    """Prints changes as JSON lines, or runs a mirror that follows them."""

    help = (
        "Print the changes of documents, one JSON object a line, or mirror the documents to TARGET"
        " from the storage in which they are. PAPERFLEET_EVENTS=true must be set for every process"
        " of paperless-ngx."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--after", type=int, default=0, metavar="ID", help="Only changes after this number."
        )
        parser.add_argument("--follow", action="store_true", help="Wait for more, until stopped.")
        parser.add_argument(
            "--prune",
            type=float,
            metavar="DAYS",
            help="Remove changes that are older, now and every hour.",
        )
        parser.add_argument(
            "--mirror",
            nargs="?",
            const="",
            metavar="TARGET",
            help="Mirror to TARGET (or PAPERFLEET_TARGET), as `paperfleet mirror` does; its"
            " settings apply, password included.",
        )
        parser.add_argument(
            "--once", action="store_true", help="With --mirror: until both are equal."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="With --mirror: print what would be done."
        )

    def handle(self, *_: Any, **options: Any) -> None:  # noqa: ANN401  # Django's signature
        """Do what the options say; a mirror ends with the exit code of ``paperfleet mirror``."""
        try:
            found = _require_events()
            if options["mirror"] is None:
                self._tell(outbox.Reader(options["after"], options["prune"]), options["follow"])
                return
            documents.require_usable()
            code = _mirror(found, options)
        except PaperfleetError as error:
            raise CommandError(readable(str(error))) from error
        if code:
            raise SystemExit(code)

    def _tell(self, reader: outbox.Reader, follow: bool) -> None:
        self._print(reader)
        if not follow:
            return
        stopper = Stopper()
        stopper.code = FINE  # it has no other end
        with signals_to(stopper), Wakeup() as wakeup:
            stopper.on_signal(wakeup.wake)
            while not wakeup.sleep(mirroring.POLL_SECONDS) and not stopper.stopping:
                with _tolerated(self.stderr):
                    self._print(reader)

    def _print(self, reader: outbox.Reader) -> None:
        while changes := reader.read():
            for line in _lines(changes):
                self.stdout.write(line)
            self.stdout.flush()


def _lines(changes: Sequence[DocumentChange]) -> Iterator[str]:
    numbers = {
        (area.key, name): pk
        for field, area in FIELDS.items()
        for name, pk in Document.global_objects.filter(
            **{f"{field}__in": [change.name for change in changes if change.area == area.key]}
        ).values_list(field, "pk")
    }
    for change in changes:
        about = {
            "id": change.pk,
            "happened": change.happened.isoformat(),
            "change": change.kind,
            "area": change.area,
            "name": change.name or None,
            "previous": change.previous or None,
            "document": numbers.get((change.area, change.name)),
        }
        yield readable_json(about)


@contextlib.contextmanager
def _tolerated(stderr: Any) -> Iterator[None]:  # noqa: ANN401  # Django's OutputWrapper
    """Try again later when the database does not answer; nothing is lost."""
    try:
        close_old_connections()
        yield
    except DatabaseError as error:
        tell(stderr, f"the outbox cannot be read, and is tried again: {error}")


def _require_events() -> AppConfiguration:
    found = documents.configuration
    if found is None or not found.settings.events:
        raise ConfigurationError(
            f"{EVENTS} is not on, so that no process tells of its changes",
            hint=f"Set {EVENTS}=true for every process of paperless-ngx. Documents in"
            " paperless-ngx's own folder are mirrored by `paperfleet mirror` instead",
        )
    return found


def _mirror(found: AppConfiguration, options: dict[str, Any]) -> int:
    """Run the mirror of ``paperfleet mirror`` on the storage of documents; return its exit code."""
    label = full(found.open()).label
    environ = os.environ
    target = options["mirror"] or environ.get("PAPERFLEET_TARGET", "")
    arguments = {
        "source": label,
        "target": target or None,
        "once": options["once"] or None,
        "dry_run": options["dry_run"] or None,
    }
    if not environ.get("PAPERFLEET_JOURNAL"):
        name = default_journal(label, target, environ).name
        arguments["journal"] = str(Path(settings.DATA_DIR) / "paperfleet" / name)
    return keep_mirroring(
        lambda: prepare(arguments, environ),
        lambda _settings, _report: mirroring.source_of(found.open(), options["prune"]),
    )
