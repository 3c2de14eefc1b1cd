"""``paperfleet health``: for a HEALTHCHECK, one line and an exit code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from paperfleet.cli.entry import FINE, WRONG
from paperfleet.cli.options import setting_options
from paperfleet.cli.state import pause_text, read_state
from paperfleet.cli.words import duration_text
from paperfleet.service.config import read

if TYPE_CHECKING:
    from paperfleet.cli.state import MirrorState

EXAMPLES = """\b
Examples:
  paperfleet health
  paperfleet health --health-seconds 300 /srv/documents /mnt/usb/documents
"""


@click.command("health", epilog=EXAMPLES)
@setting_options("journal", "health_seconds")
def command(**arguments: object) -> int:
    """Exit 0 only when source and target were in sync not long ago.

    That a process lives proves nothing: this reads in the journal when the mirror last found source
    and target equal, apart from files in quarantine or held back by the guard.
    """
    limit = read(arguments, os.environ).get("health_seconds")
    healthy, reason = judge(read_state(arguments), float(str(limit)))
    click.echo(f"{'healthy' if healthy else 'unhealthy'}: {reason}")
    return FINE if healthy else WRONG


def judge(state: MirrorState, limit: float) -> tuple[bool, str]:
    """Return whether the mirror is healthy and why; ``limit`` in seconds since it converged."""
    if state.heartbeat.get("state") == "stopped":
        return False, pause_text(state) or "the mirror has stopped"
    if state.converged_at is None:
        return False, "the first sync is not done yet"
    age = max(0.0, state.at - state.converged_at)
    waiting = len(state.quarantined), sum(not refusal.approved for refusal in state.refused)
    text = f"in sync {duration_text(age)} ago" + "".join(
        f", {count:,} {word}"
        for count, word in zip(waiting, ("in quarantine", "held back"), strict=True)
        if count
    )
    return age <= limit, text
