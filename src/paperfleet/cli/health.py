"""``paperfleet health``: for a HEALTHCHECK, one line and an exit code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from paperfleet.cli.options import setting_options
from paperfleet.running.exitcodes import FINE, WRONG, help_text
from paperfleet.running.printing import say
from paperfleet.running.state import pause_text, read_state
from paperfleet.running.words import duration_text, files_text
from paperfleet.settings.config import read
from paperfleet.storage.names import readable

if TYPE_CHECKING:
    from paperfleet.running.state import MirrorState

EXAMPLES = """\b
Examples:
  paperfleet health
  paperfleet health --health-seconds 300 /srv/documents /mnt/usb/documents
  paperfleet health --missing-seconds 86400
"""


@click.command("health", epilog=EXAMPLES + help_text("health"))
@setting_options("journal", "health_seconds", "missing_seconds")
def command(**arguments: object) -> int:
    """Exit 0 only when source and target were compared not long ago and nothing is missing.

    That a process lives proves nothing: this reads in the journal when the mirror last compared
    source and target with nothing left to do, and since when files are in quarantine, which means
    that they are not at the target as they are at the source.
    """
    reading = read(arguments, os.environ)
    limits = [float(str(reading.get(key))) for key in ("health_seconds", "missing_seconds")]
    healthy, reason = judge(read_state(arguments), *limits)
    say(f"{'healthy' if healthy else 'unhealthy'}: {reason}")
    return FINE if healthy else WRONG


def judge(state: MirrorState, limit: float, missing_limit: float) -> tuple[bool, str]:
    """Return whether the mirror is healthy and why.

    Limits in seconds: since source and target were compared, and for which a file may be missing.
    """
    if state.heartbeat.get("state") == "stopped":
        return False, pause_text(state) or "the mirror has stopped"
    if fault := state.heartbeat.get("reason"):
        return False, readable(f"at the source: {fault}")
    if state.compared_at is None:
        return False, "the first sync is not done yet"
    age = max(0.0, state.at - state.compared_at)
    equal = not (state.quarantined or _held_back(state) or state.in_doubt)
    text = f"{'in sync' if equal else 'compared'} {duration_text(age)} ago{_missing(state)}"
    return age <= limit and not _missing_too_long(state, missing_limit), text


def _missing_too_long(state: MirrorState, limit: float) -> bool:
    """Say so also at once when nothing at all has arrived."""
    since = [entry.since for entry in state.quarantined]
    since += [held.since for held in state.refused if held.loss != "delete"]
    if not since:
        return False
    return not state.proven or state.at - min(since) > limit


def _missing(state: MirrorState) -> str:
    parts = []
    if state.quarantined:
        since = duration_text(max(0.0, state.at - min(q.since for q in state.quarantined)))
        count = files_text(len(state.quarantined))
        parts.append(f"{count} not at the target as at the source, for up to {since}")
    parts += [f"{files_text(state.in_doubt)} in doubt"] * bool(state.in_doubt)
    parts += [f"{files_text(_held_back(state))} held back"] * bool(_held_back(state))
    parts += [f"{files_text(state.proven)} at the target"] * bool(parts)
    return "".join(f", {part}" for part in parts)


def _held_back(state: MirrorState) -> int:
    return sum(not refusal.approved for refusal in state.refused)
