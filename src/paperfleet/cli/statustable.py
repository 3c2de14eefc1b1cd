"""The state of a mirror as tables for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from paperfleet.running.state import pause_text
from paperfleet.running.words import duration_text, files_text
from paperfleet.storage.names import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from paperfleet.running.state import MirrorState

SHOWN_ROWS = 20
SILENT_SECONDS = 120.0
_QUARANTINE = ", not at the target as at the source"


def tables(state: MirrorState) -> Iterator[Table]:
    """Yield the overview, then one table for each kind of trouble that there is."""
    yield _overview(state)
    if state.pending:
        rows = [(p.kind, p.name, p.state, _ago(state, p.since)) for p in state.pending]
        yield _listing("Pending", ("what", "name", "state", "since"), rows)
    if state.quarantined:
        rows = [
            (
                q.name,
                f"{q.reason}. {q.hint}".rstrip(". "),
                f"{q.attempts}",
                _until(state, q.next_try),
            )
            for q in state.quarantined
        ]
        yield _listing("Quarantine", ("name", "reason", "tries", "next try"), rows)
    if state.left_out:
        skipped = [(q.name, q.reason) for q in state.left_out]
        yield _listing("Left out", ("name", "reason"), skipped)
    if state.refused:
        rows = [
            (r.name, r.reason, "approved" if r.approved else "held back", _ago(state, r.since))
            for r in state.refused
        ]
        yield _listing("Refused", ("name", "reason", "", "since"), rows)


def _overview(state: MirrorState) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _facts(state):
        table.add_row(key, Text(readable(value)))
    return table


def _facts(state: MirrorState) -> Iterator[tuple[str, str]]:
    yield "source", state.source
    yield "target", state.target
    yield "journal", str(state.journal)
    yield "mirror", mirror_text(state)
    if state.paused:
        until = _until(state, float(state.paused.get("until", state.at)))
        yield "paused", f"{pause_text(state)} (next try {until})"
    yield "compared", "never yet" if state.compared_at is None else _ago(state, state.compared_at)
    yield "in sync", _sync_text(state)
    if state.source_files:
        counted = _ago(state, float(state.source_files["at"]))
        yield "in the source", f"{files_text(state.source_files['files'])}, counted {counted}"
    yield "at the target", f"{files_text(state.proven)}, seen to have arrived"
    if state.uploads:
        yield "uploads", uploads_text(state.uploads)
    if state.in_doubt:
        yield "in doubt", f"{files_text(state.in_doubt)}, looked at before anything else"
    if state.strangers:
        hint = "neither at the source nor known. See them: paperfleet prune SOURCE TARGET"
        yield "others' files", f"{files_text(state.strangers)} at the target, {hint}"
    for name, reason in (state.unreadable or {}).items():
        yield "unreadable", f"{name} at the target is left alone: {reason}"
    yield "waiting", f"{files_text(int(state.heartbeat.get('waiting', 0)))} to be looked at"
    yield "pending", f"{len(state.pending):,} operations"
    yield "in quarantine", f"{files_text(len(state.quarantined))}{_QUARANTINE}"
    if state.left_out:
        yield "left out", f"{len(state.left_out):,} that are no documents"
    held = Counter(refusal.reason for refusal in state.refused if not refusal.approved)
    yield "held back", files_text(held.total())
    for reason, count in held.items():
        yield "", f"{files_text(count)}: {reason}. Let it happen: paperfleet approve"


def _sync_text(state: MirrorState) -> str:
    last = "never yet" if state.converged_at is None else _ago(state, state.converged_at)
    waiting = sum(not refusal.approved for refusal in state.refused)
    if state.quarantined or state.in_doubt:
        return f"no; last {last}"
    return f"{last}, but for what is held back" if waiting else last


def uploads_text(uploads: Mapping[str, int]) -> str:
    """Say how many uploads were proven, and by what."""
    words = {
        "hash": "proven by a hash that the target computed",
        "read": "read back",
        "size": "known by their size alone",
    }
    told = [f"{uploads[key]:,} {text}" for key, text in words.items() if uploads.get(key)]
    return ", ".join(told) or "none yet"


def mirror_text(state: MirrorState) -> str:
    """Say in one line what the mirror is doing: 'idle, inotify (pid 12, heard 3 s ago)'."""
    beat = state.heartbeat
    if not beat:
        return "has not run yet"
    what = ", ".join(str(beat[key]) for key in ("state", "reason", "watching") if beat.get(key))
    silence = state.at - float(beat.get("at", 0))
    if beat.get("state") != "stopped" and silence > SILENT_SECONDS:
        return f"not running: it was {what}, and was last heard {_ago(state, beat['at'])}"
    return f"{what} (pid {beat.get('pid')}, heard {_ago(state, beat['at'])})"


def _listing(title: str, columns: Iterable[str], rows: Sequence[tuple[str, ...]]) -> Table:
    more = len(rows) - SHOWN_ROWS
    caption = f"and {more:,} more: paperfleet status --json" if more > 0 else None
    table = Table(title=f"{title} ({len(rows):,})", title_justify="left", caption=caption, box=None)
    for column in columns:
        table.add_column(column, overflow="fold", justify="left")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(Text(readable(cell)) for cell in row))
    return table


def _ago(state: MirrorState, moment: float) -> str:
    return f"{duration_text(max(0.0, state.at - moment))} ago"


def _until(state: MirrorState, moment: float) -> str:
    if not moment:
        return "when it changes"
    wait = moment - state.at
    return f"in {duration_text(wait)}" if wait > 0 else "now"
