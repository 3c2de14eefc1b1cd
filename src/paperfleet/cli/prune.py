"""``paperfleet prune``: delete at the target what a lost journal left there, by name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from paperfleet.cli.choosing import (
    KEYS,
    ask,
    choose,
    choosing_options,
    hint_for,
    open_places,
    recount,
    show,
)
from paperfleet.cli.options import setting_options
from paperfleet.running.exitcodes import FAILED, FINE, REFUSED, help_text
from paperfleet.running.printing import say
from paperfleet.running.words import files_text
from paperfleet.storage.names import readable

if TYPE_CHECKING:
    from paperfleet.cli.choosing import Choice, Places

EXAMPLES = """\b
Examples:
  paperfleet prune /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet prune --dry-run --copies /srv/documents /mnt/usb/documents
  paperfleet prune --name 2019/old.pdf --name 2018/ /srv/documents /mnt/usb/documents
  paperfleet prune --name 2018/ --approve 412 /srv/documents /mnt/usb/documents

"""


@click.command("prune", epilog=EXAMPLES + help_text("prune"))
@choosing_options
@click.option(
    "--approve",
    type=int,
    metavar="NUMBER",
    help="Delete exactly so many, though the guard objects.",
)
@setting_options(*KEYS)
def command(
    *, names: tuple[str, ...], copies: bool, yes: bool, approve: int | None, **arguments: object
) -> int:
    """Delete files at TARGET that are neither at SOURCE nor known to the journal.

    Such files are others' own, or what the mirror put there before its journal was lost and what
    was deleted at the source since: nobody can tell. So only what you name goes; without --name and
    --copies they are listed. A file that changed since it was listed stays. The mirror may run
    meanwhile. Nextcloud keeps what is deleted in its trash bin.
    """
    with open_places(arguments) as places:
        choice = choose(places, names, copies=copies)
        if not choice.chosen:
            hint_for(choice, "paperfleet prune")
            return FINE
        dry = places.settings.dry_run
        title = "would be deleted at the target" if dry else "to delete at the target"
        show(title, choice.chosen, None if dry else 20)
        objection = _objection(places, choice)
        if objection and approve != len(choice.chosen):
            say(f"refused: {objection}. Let it happen: --approve {len(choice.chosen)}")
            return REFUSED
        if dry:
            return FINE
        if not yes and approve is None:
            ask("Delete them?", "paperfleet prune")
        return _delete(places, choice)


def _objection(places: Places, choice: Choice) -> str:
    """Return what the guard of the mirror would say, '' for nothing."""
    from paperfleet.mirror.planning.guard import Limits, too_many  # noqa: PLC0415  # slow to import

    settings, count = places.settings, len(choice.chosen)
    total = places.journal.count_proven() + count + len(choice.others)
    excess = too_many(count, total, Limits(settings.delete_share, settings.delete_floor))
    if not excess:
        return ""
    return f"{count:,} of {files_text(total)} at the target would be deleted, {excess}"


def _delete(places: Places, choice: Choice) -> int:
    from paperfleet.mirror.strangers import remove  # noqa: PLC0415  # slow to import
    from paperfleet.storage.names import parents  # noqa: PLC0415

    def is_taken(name: str) -> bool:
        return bool(places.journal.owner_of(name)) or places.source.exists(name)

    ends: Counter[str] = Counter()
    folders, left = set[str](), list(choice.others)
    for one in choice.chosen:
        end = remove(places.target, one.seen, is_taken)
        ends[end] += 1
        if end == "deleted":
            folders.update(parents(one.seen.name))
        else:
            left += [one.seen.name] * (end == "changed")
            say(f"  left: {readable(one.seen.name)} ({end} meanwhile)")
    for folder in sorted(folders, key=lambda name: (-name.count("/"), name)):
        places.target.remove_folder(folder)
    recount(places, left)
    say(f"{files_text(ends['deleted'])} deleted")
    return FAILED if ends["changed"] + ends["taken"] else FINE
