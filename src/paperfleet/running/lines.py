"""What an event is in words, one line each. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from paperfleet.mirror.events import (
    Done,
    Event,
    Failed,
    Notice,
    Paused,
    Planned,
    Refused,
    Resumed,
    Started,
    Synced,
)
from paperfleet.running.words import duration_text, files_text, size_text
from paperfleet.storage.names import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEVELS = ("debug", "info", "warning", "error")
WIDTH = len("set aside")
SHOWN_NAMES = 3


def level_of(event: Event) -> str:
    """Return the level at which an event is worth a line."""
    match event:
        case Notice(level=level):
            return level
        case Failed() | Refused():
            return "warning"
        case Paused():
            return "error"
        case Synced(first=True, failed=failed) if failed:
            return "warning"
        case Done(action="adopted" | "let go") | Planned(first=False) | Synced(first=False):
            return "debug"
    return "info"


def stands_out(event: Event) -> bool:
    """Say whether the line is one that a reader looks for in a long log."""
    return isinstance(event, Started) or (isinstance(event, Synced) and event.first)


def line(event: Event) -> str:
    """Return the event as one line without its time: a word in a column, then what happened."""
    word, text = WORDS[type(event)](event)
    framed = f"=== {text} ===" if stands_out(event) else text
    return readable(f"{word:<{WIDTH}} {framed}".rstrip())


def _started(event: Started) -> tuple[str, str]:
    how = f", {event.watching}" if event.watching else ""
    return "started", f"mirroring {readable(event.source)} to {readable(event.target)}{how}"


def _planned(event: Planned) -> tuple[str, str]:
    parts = [f"{files_text(event.sends)} new or changed ({size_text(event.bytes)})"]
    parts += [f"{event.moves:,} to move"] * bool(event.moves)
    parts += [f"{event.deletes:,} gone or renamed"] * bool(event.deletes)
    parts += [f"{event.adopted:,} already there"] * bool(event.adopted)
    return "planned", ", ".join(parts)


def _done(event: Done) -> tuple[str, str]:
    name = readable(event.name)
    if event.new_name is not None:
        name = f"{name} -> {readable(event.new_name)}"
    if event.count != 1:
        return event.action, f"{name} ({files_text(event.count)})"
    sent = event.action in ("created", "updated", "restored")
    return event.action, f"{name} ({size_text(event.size)})" if sent else name


def _failed(event: Failed) -> tuple[str, str]:
    text = f"{readable(event.name)}: {_sentences(event.reason, event.hint)}"
    when = f"next try {_clock(event.next_try)}" if event.next_try else "waits until it changes"
    return "failed", f"{text} ({when})"


def _refused(event: Refused) -> tuple[str, str]:
    first = ", ".join(readable(name) for name in event.names[:SHOWN_NAMES])
    more = len(event.names) - SHOWN_NAMES
    names = f"{first} and {more:,} more" if more > 0 else first
    return "refused", (
        f"{readable(event.reason)}: {names}. Nothing of it is done; look at it with "
        f"`paperfleet status`, let it happen with `paperfleet approve`"
    )


def _paused(event: Paused) -> tuple[str, str]:
    return "paused", f"{_sentences(event.reason, event.hint)} (until {_clock(event.until)})"


def _resumed(event: Resumed) -> tuple[str, str]:  # noqa: ARG001  # same signature as its siblings
    return "resumed", "the target answers again"


def _synced(event: Synced) -> tuple[str, str]:
    equal = not (event.failed or event.refused)
    head = "first sync done" if event.first else "in sync"
    head = head if equal else "not in sync after the first pass" if event.first else "not in sync"
    return "synced", (
        f"{head} in {duration_text(event.seconds)}: {_counts(event)}; "
        f"{files_text(event.proven)} at the target"
    )


def _counts(event: Synced) -> str:
    parts = [f"{count:,} {action}" for action, count in event.counts.items() if count]
    parts += [f"{event.failed:,} in quarantine (see paperfleet status)"] * bool(event.failed)
    parts += [f"{event.refused:,} held back (see paperfleet status)"] * bool(event.refused)
    return ", ".join(parts) or "nothing to do"


def _notice(event: Notice) -> tuple[str, str]:
    return "notice" if event.level == "info" else event.level, readable(event.text)


def _sentences(reason: str, hint: str) -> str:
    return readable(f"{reason}. {hint}" if hint else reason)


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%H:%M:%S")


WORDS: Mapping[type[Event], Callable[[Any], tuple[str, str]]] = {
    Started: _started,
    Planned: _planned,
    Done: _done,
    Failed: _failed,
    Refused: _refused,
    Paused: _paused,
    Resumed: _resumed,
    Synced: _synced,
    Notice: _notice,
}
