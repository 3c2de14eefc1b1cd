"""``paperfleet repair``: finish or undo what was cut off in a storage."""

from __future__ import annotations

import os

import click

from paperfleet.errors import ConfigurationError
from paperfleet.running.exitcodes import FINE, help_text
from paperfleet.running.printing import say
from paperfleet.running.words import seconds_of
from paperfleet.settings.options import STORAGE_OPTIONS

EXAMPLES = """\b
Examples:
  paperfleet repair s3://my-docs/originals
  paperfleet repair --older-than 2h /srv/documents

\b
Secret options stand in PAPERFLEET_STORAGE_OPTIONS, as JSON, or in a file named by
PAPERFLEET_STORAGE_OPTIONS_FILE.

"""


@click.command("repair", epilog=EXAMPLES + help_text("repair"))
@click.argument("storage")
@click.option(
    "--older-than",
    default="1d",
    show_default=True,
    metavar="TIME",
    help="Leave alone what is younger: it may be under way. Such as 90s, 10m, 2h, 1d.",
)
def command(storage: str, *, older_than: str) -> int:
    """Finish or undo what was cut off in STORAGE by a kill or a lost connection.

    A move that was cut off in a bucket leaves the document under both names: the old one is deleted
    if it is still the one that was to be moved and the new one has the same bytes, else both stay.
    A move counts as under way for a minute, and a second more for each megabyte. Temporary files of
    saves are removed. A document is never lost by it.
    """
    from paperfleet.settings.storages import storage_of  # noqa: PLC0415  # slow to import
    from paperfleet.storage.full import full  # noqa: PLC0415

    seconds = seconds_of(older_than)
    if seconds is None:
        raise ConfigurationError(
            f"--older-than {older_than!r} is no duration", hint="Such as 90s, 10m, 2h or 1d"
        )
    with full(storage_of(storage, STORAGE_OPTIONS, os.environ, is_there=True)) as opened:
        label = opened.label
        if not opened.capabilities.sweep:
            say(f"{label}: this kind of storage has nothing to repair")
            return FINE
        count = opened.sweep(seconds)
    what = f"{count:,} leftover{'' if count == 1 else 's'}" if count else "nothing"
    say(f"{label}: {what} older than {older_than} settled")
    return FINE
