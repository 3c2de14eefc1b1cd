"""``paperfleet approve``: let what the guard holds back happen once."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from paperfleet.cli.options import setting_options
from paperfleet.errors import ConfigurationError
from paperfleet.running.exitcodes import help_text
from paperfleet.running.printing import say
from paperfleet.running.state import open_journal
from paperfleet.running.words import files_text
from paperfleet.storage.names import readable

if TYPE_CHECKING:
    from paperfleet.journal.journal import JournalView
    from paperfleet.journal.tables import Refusal

SHOWN_NAMES = 10
EXAMPLES = """\b
Examples:
  paperfleet approve
  paperfleet approve --yes
"""


@click.command("approve", epilog=EXAMPLES + help_text("approve"))
@click.option("--yes", is_flag=True, help="Do not ask.")
@setting_options("journal")
def command(*, yes: bool, **arguments: object) -> None:
    """Let the guard's refused plan run once.

    It shows what would happen and asks first. The running mirror takes notice by itself.
    """
    with open_journal(arguments) as view:
        waiting = _waiting(view)
        if not waiting:
            say("nothing is held back")
            return
        _show(waiting)
        if not yes:
            _ask()
        _refuse_changed(waiting, _waiting(view))
        say(f"approved: {view.approve():,}; the mirror goes on with it by itself")


def _waiting(view: JournalView) -> list[Refusal]:
    return [refusal for refusal in view.refusals() if not refusal.approved]


def _show(waiting: list[Refusal]) -> None:
    for reason, count in Counter(refusal.reason for refusal in waiting).items():
        say(f"{files_text(count)} held back: {readable(reason)}")
    for refusal in waiting[:SHOWN_NAMES]:
        say(f"  {readable(refusal.name)}")
    if len(waiting) > SHOWN_NAMES:
        say(f"  and {len(waiting) - SHOWN_NAMES:,} more: paperfleet status --json")


def _ask() -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "there is nobody to ask whether this is right", hint="Run: paperfleet approve --yes"
        )
    click.confirm("Let this happen at the target?", abort=True)


def _refuse_changed(shown: list[Refusal], now: list[Refusal]) -> None:
    """Nobody may approve what was not shown."""
    if {refusal.name for refusal in now} - {refusal.name for refusal in shown}:
        raise ConfigurationError(
            "meanwhile the guard holds back more than was shown", hint="Look again, then approve"
        )
