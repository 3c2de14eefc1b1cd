"""``paperfleet adopt``: let the mirror own files at the target that its journal does not know."""

from __future__ import annotations

import click

from paperfleet.cli.choosing import (
    KEYS,
    ask,
    choose,
    choosing_options,
    hint_for,
    names_of,
    open_places,
    recount,
    show,
)
from paperfleet.cli.options import setting_options
from paperfleet.running.exitcodes import FINE, help_text
from paperfleet.running.printing import say
from paperfleet.running.words import files_text

EXAMPLES = """\b
Examples:
  paperfleet adopt /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet adopt --dry-run --name 2018/ /srv/documents /mnt/usb/documents
  paperfleet adopt --name 2019/old.pdf /srv/documents /mnt/usb/documents
"""


@click.command("adopt", epilog=EXAMPLES + help_text("adopt"))
@choosing_options
@setting_options(*(key for key in KEYS if not key.startswith("delete")))
def command(*, names: tuple[str, ...], copies: bool, yes: bool, **arguments: object) -> int:
    """Take files at TARGET over as the mirror's own, though its journal does not know them.

    Then they are treated as all that the mirror put there: what is not at SOURCE is deleted by the
    mirror, unless its guard holds that back (paperfleet status, paperfleet approve), and what
    appears at SOURCE with the same bytes is renamed instead of sent. Only what you name is taken;
    without --name and --copies the files are listed. `paperfleet prune` deletes without the mirror.
    """
    with open_places(arguments) as places:
        choice = choose(places, names, copies=copies)
        if not choice.chosen:
            hint_for(choice, "paperfleet adopt")
            return FINE
        dry = places.settings.dry_run
        title = "would become the mirror's own" if dry else "to become the mirror's own"
        show(title, choice.chosen, None if dry else 20)
        if dry:
            return FINE
        if not yes:
            ask(
                "The mirror will delete those that are not at the source. Go on?",
                "paperfleet adopt",
            )
        from paperfleet.mirror.strangers import row_for  # noqa: PLC0415  # slow to import

        rows = [row_for(places.target, one) for one in choice.chosen]
        places.journal.take_over(rows, names_of(choice.chosen))
        recount(places, choice.others)
        say(f"{files_text(len(rows))} taken over; the mirror takes notice by itself")
    return FINE
