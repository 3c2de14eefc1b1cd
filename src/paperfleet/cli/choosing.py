"""Which files at the target a person means, of those that are neither at the source nor known."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

from paperfleet.errors import ConfigurationError
from paperfleet.journal.journal import Journal
from paperfleet.running.printing import say
from paperfleet.running.words import files_text, size_text
from paperfleet.settings.config import read, settings_of
from paperfleet.storage.names import is_below, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from paperfleet.journal.journal import JournalView
    from paperfleet.mirror.strangers import Stranger
    from paperfleet.settings.mirror import MirrorSettings
    from paperfleet.storage.full import FullStorage

    Command = Callable[..., object]

SHOWN = 20
KEYS = (
    "paperless",
    "paperless_token_file",
    "username",
    "password_file",
    "journal",
    "dry_run",
    "follow_links",
    "delete_share",
    "delete_floor",
    "allow_plain_http",
    "ca_file",
    "client_certificate",
    "timeout_seconds",
    "lowest_rate",
)


class Places(NamedTuple):
    """Source, target and journal of a mirror, open; the mirror itself may run meanwhile."""

    settings: MirrorSettings
    source: FullStorage
    target: FullStorage
    journal: JournalView


class Choice(NamedTuple):
    """``chosen`` of all strangers; ``others`` are the rest, by their names at the target."""

    chosen: list[Stranger]
    others: list[str]


@contextmanager
def open_places(arguments: Mapping[str, object]) -> Iterator[Places]:
    """Open what a command for strangers needs; raise ``ConfigurationError`` for another pair."""
    from paperfleet.running.build import open_target, source_for_looking  # noqa: PLC0415  # slow to import
    from paperfleet.storage.full import full  # noqa: PLC0415

    settings = settings_of(read(arguments, os.environ), os.environ)
    source = full(source_for_looking(settings))
    target = full(open_target(settings))
    with ExitStack() as stack:
        journal = stack.enter_context(Journal.read(settings.journal))
        labels = source.label, target.label
        if journal.pair() != labels:
            raise ConfigurationError(
                f"the journal {settings.journal} belongs to {' -> '.join(journal.pair())}, not to "
                f"{' -> '.join(labels)}",
                hint="Give SOURCE and TARGET as the mirror has them",
            )
        stack.enter_context(source)
        stack.enter_context(target)
        yield Places(settings, source, target, journal)


def choosing_options(command: Command) -> Command:
    """Add the options that name files at the target."""
    command = click.option("--yes", is_flag=True, help="Do not ask.")(command)
    command = click.option(
        "--copies", is_flag=True, help="All whose bytes are those of a document of the source."
    )(command)
    return click.option(
        "--name",
        "names",
        multiple=True,
        metavar="NAME",
        help="A file at the target; with a slash at its end a folder with all below. Repeatable.",
    )(command)


def choose(places: Places, names: Sequence[str], *, copies: bool) -> Choice:
    """Find all strangers and return those that are meant: none when nothing is named.

    Raises ``ConfigurationError`` for a name that is none, and while nothing can be judged: with an
    empty source, or before the mirror has brought source and target together.
    """
    from paperfleet.mirror.strangers import (  # noqa: PLC0415  # slow to import
        find_strangers,
        judged,
        source_state,
    )

    here = source_state(places.source, places.target)
    _refuse_unjudgeable(places, bool(here.names))
    found = list(find_strangers(places.target, here, places.journal.known()))
    asked = [seen for seen in found if not names or any(_names(n, seen.name) for n in names)]
    for name in names:
        if not any(_names(name, seen.name) for seen in found):
            raise ConfigurationError(
                f"{readable(name)!r} is none of them: the mirror knows it, it is at the source, or "
                "it is not at the target",
                hint="Run without --name to see which there are; a folder ends in a slash",
            )
    all_judged = judged(places.target, asked, places.journal.known())
    if not names and not copies:
        show("neither at the source nor put there by this mirror", all_judged)
        return Choice([], [seen.name for seen in found])
    chosen = [one for one in all_judged if one.copy_of or not copies]
    taken = set(names_of(chosen))
    return Choice(chosen, [seen.name for seen in found if seen.name not in taken])


def recount(places: Places, left: Iterable[str]) -> None:
    """Let `paperfleet status` tell of those that are left."""
    from paperfleet.mirror.strangers import by_folder  # noqa: PLC0415  # slow to import

    counts = {folder: len(names) for folder, names in by_folder(left).items()}
    places.journal.set_strangers(counts)


def _refuse_unjudgeable(places: Places, has_documents: bool) -> None:
    if not has_documents:
        raise ConfigurationError(
            "the source is empty: then everything at the target would count as left over",
            hint="Is the volume mounted?",
        )
    if places.journal.get_fact("compared_at") is None:
        raise ConfigurationError(
            "this journal has not seen a whole sync yet: what is at the target is not known to it",
            hint="Let `paperfleet mirror` finish its first sync, then come back",
        )


def _names(asked: str, name: str) -> bool:
    return is_below(name, asked.rstrip("/")) if asked.endswith("/") else name == asked


def show(title: str, strangers: Sequence[Stranger], most: int | None = SHOWN) -> None:
    """Print files with what they are."""
    say(f"{files_text(len(strangers))} {title}")
    for one in strangers[:most]:
        what = f"a copy of {readable(one.copy_of)}" if one.copy_of else "its bytes are nowhere else"
        say(f"  {readable(one.seen.name)} ({size_text(one.seen.size)}): {what}")
    if most is not None and len(strangers) > most:
        say(f"  and {len(strangers) - most:,} more")


def ask(question: str, command: str) -> None:
    """Ask on a terminal; elsewhere raise ``ConfigurationError``."""
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "there is nobody to ask whether this is right", hint=f"Run: {command} --yes …"
        )
    click.confirm(question, abort=True)


def hint_for(choice: Choice, command: str) -> None:
    """Say how to go on when nothing was chosen."""
    if not choice.chosen and choice.others:
        say(f"nothing is chosen; name files: {command} --name FILE --name FOLDER/")


def names_of(strangers: Iterable[Stranger]) -> list[str]:
    """Return the names at the target."""
    return [one.seen.name for one in strangers]
