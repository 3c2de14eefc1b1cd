"""``paperfleet backup drill``, and what every command says of the last one."""

from __future__ import annotations

import os
import secrets
from functools import partial
from typing import TYPE_CHECKING

import click

from paperfleet.running.exitcodes import FAILED, FINE, help_text
from paperfleet.running.printing import say, say_json

if TYPE_CHECKING:
    from paperfleet.backup.place import BackupPlace
    from paperfleet.backup.published import Drill, Published
    from paperfleet.backup.repository import Repository
    from paperfleet.settings.backup import BackupSettings

_SEEDS = 1 << 32
EXAMPLES = """\b
Examples:
  paperfleet backup drill
  paperfleet backup drill 1f6a23c4
  paperfleet backup drill --seed 271828 --known-broken 17

"""


@click.command("drill", epilog=EXAMPLES + help_text("backup drill"))
@click.argument("snapshot", default="latest")
@click.option(
    "--seed",
    type=click.IntRange(0, _SEEDS - 1),
    help="Look at the documents that another drill with this seed chose. [a random one]",
)
@click.option(
    "--known-broken",
    "known",
    metavar="DOCUMENT",
    type=int,
    multiple=True,
    help="The number of a document whose PDF never opened; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(snapshot: str, *, seed: int | None, known: tuple[int, ...], as_json: bool) -> int:
    """Prove that SNAPSHOT (the last complete one) can be restored.

    It is restored into a throw-away installation (SQLite, in the folder of the backup), which needs
    room for all documents twice. Nothing of the real one is touched. Up to 1,000 documents all are
    compared, of more a sample; every PDF among them is opened, and three searches have to find
    theirs. How it ended stands in `paperfleet status`.
    """
    from paperfleet.backup.drilling import Drilling  # noqa: PLC0415  # slow to import
    from paperfleet.backup.heartbeat import address_of, beating  # noqa: PLC0415  # as above
    from paperfleet.cli.backup import opened, signals  # noqa: PLC0415  # it has this command
    from paperfleet.fleet.throwaway import throw_away_in  # noqa: PLC0415  # as above

    settings, place, repository = opened()
    url = address_of(settings.drill_heartbeat_url, settings.drill_heartbeat_url_file)
    tell = partial(say, err=True)
    with signals(), beating(url, tell) as heart:
        drilling = Drilling(
            settings.name, place, repository, lambda folder: throw_away_in(folder, os.environ)
        )
        drill = drilling.run(
            snapshot,
            seed=secrets.randbelow(_SEEDS) if seed is None else seed,
            known=known,
            say=tell,
        )
        heart.good = drill.is_green
    if as_json:
        say_json(drill._asdict())
    else:
        _tell(drill)
    return FINE if drill.is_green else FAILED


def of_these(settings: BackupSettings, place: BackupPlace, repository: Repository) -> Published:
    """Return what drills of the backups of this installation have found."""
    from paperfleet.backup import published  # noqa: PLC0415  # slow to import

    return published.read(place.folder).of(repository.label, settings.name)


def tell_last(found: Published) -> None:
    """Say on standard error how the last drill ended."""
    from paperfleet.backup import published  # noqa: PLC0415  # slow to import

    say(published.text(found), err=True)


def _tell(drill: Drill) -> None:
    from paperfleet.backup.published import rto_text  # noqa: PLC0415  # slow to import

    for reason in drill.reasons:
        say(f"wrong: {reason}", err=True)
    if drill.is_green:
        say(f"green: {rto_text(drill)}")
    else:
        say(f"RED: backup {drill.snapshot[:8] or '?'} is not proven to restore")
