"""``paperfleet status``: how the mirror is, from another terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from paperfleet.cli.options import setting_options
from paperfleet.printable import readable_json
from paperfleet.running.exitcodes import help_text
from paperfleet.running.state import read_state

if TYPE_CHECKING:
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
    needs no argument.
    """
    state = read_state(arguments)
    if as_json:
        click.echo(json_text(state))
        return
    from rich.console import Console  # noqa: PLC0415  # rich is slow to import

    from paperfleet.cli.statustable import tables  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    for table in tables(state):
        console.print(table)


def json_text(state: MirrorState) -> str:
    """Return the state as one JSON object; the keys are those of ``MirrorState``."""
    lists = ("pending", "quarantined", "left_out", "refused")
    rows = {key: [row._asdict() for row in getattr(state, key)] for key in lists}
    return readable_json(state._asdict() | rows | {"journal": str(state.journal)}, indent=2)
