"""``paperfleet status``: how the mirror and the backup are, from another terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from paperfleet.cli.options import setting_options
from paperfleet.errors import ConfigurationError
from paperfleet.printable import readable_json
from paperfleet.running.exitcodes import help_text
from paperfleet.running.printing import say
from paperfleet.running.state import read_state

if TYPE_CHECKING:
    from paperfleet.backup.published import Published
    from paperfleet.running.state import MirrorState

EXAMPLES = """\b
Examples:
  paperfleet status
  paperfleet status /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet status --json | jq '.quarantined[].name'
"""


@click.command("status", epilog=EXAMPLES + help_text("status"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@setting_options("journal")
def command(*, as_json: bool, **arguments: object) -> None:
    """Show what is at the target, what waits, what is in quarantine and what is held back.

    It reads the journal of the mirror, which may run or not. With one mirror on this machine it
    needs no argument. Where this machine makes backups, it says how the last drill ended.
    """
    from paperfleet.backup import published  # noqa: PLC0415  # slow to import

    drills = published.here(os.environ)
    try:
        state = read_state(arguments)
    except ConfigurationError:
        if drills is None or any(arguments.values()):
            raise
        _show_drills(drills, as_json=as_json)
        return
    if as_json:
        click.echo(json_text(state, drills))
        return
    from rich.console import Console  # noqa: PLC0415  # rich is slow to import

    from paperfleet.cli.statustable import tables  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    for table in tables(state):
        console.print(table)
    if drills is not None:
        _show_drills(drills)


def _show_drills(drills: Published, *, as_json: bool = False) -> None:
    from paperfleet.backup import published  # noqa: PLC0415  # slow to import

    if as_json:
        click.echo(readable_json({"drill": published.document(drills)}, indent=2))
    else:
        say(f"backup: {published.text(drills)}")


def json_text(state: MirrorState, drills: Published | None = None) -> str:
    """Return the state as one JSON object; the keys are those of ``MirrorState``.

    Where this machine makes backups, ``drill`` is what ``published.document`` returns.
    """
    lists = ("pending", "quarantined", "left_out", "refused")
    rows = {key: [row._asdict() for row in getattr(state, key)] for key in lists}
    told = state._asdict() | rows | {"journal": str(state.journal)}
    if drills is not None:
        from paperfleet.backup import published  # noqa: PLC0415  # slow to import

        told["drill"] = published.document(drills)
    return readable_json(told, indent=2)
