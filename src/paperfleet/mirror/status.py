"""What a person may ask about the mirror: quarantine, refusals, pauses, counts."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, cast

from paperfleet.errors import BusyError, PaperfleetError
from paperfleet.mirror.events import Action, Failed, Notice, Refused, Synced
from paperfleet.mirror.policy import TRIES_BEFORE_QUARANTINE, again_seconds, quarantine_seconds
from paperfleet.mirror.room import Room
from paperfleet.model import Held
from paperfleet.storage.names import is_utf8, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from paperfleet.journal.journal import Journal
    from paperfleet.journal.tables import JsonValue
    from paperfleet.mirror.events import Done, Paused, Reporter, Resumed
    from paperfleet.mirror.scan import Scan
    from paperfleet.model import Obstacle

COUNTED_FROM = "deletes_counted_from"
_HOUR = 3600.0
_CLAIMED_SECONDS = 300.0
"""Longer than a storage leaves alone what a dead process may still be moving."""
LEFT_OUT = "left_out"
UPLOADS = "uploads"
FINDINGS = "target_findings"
COUNTED = "source_files"
UNREADABLE = "target_unreadable"
_WHEN_IT_CHANGES = 0.0
"""The next try of what no waiting mends."""


class Status:
    """Keeps quarantine, refusals and status in the journal, and reports what changes."""

    def __init__(self, journal: Journal, report: Reporter) -> None:
        self._journal, self.room = journal, Room()
        self.report = report
        self.doubts = 0
        """How often a sweep became due: what ended in doubt during one waits for the next."""
        entries = journal.quarantined()
        # A person who starts the mirror has perhaps mended it: nothing rests at the start.
        self._resting = dict.fromkeys((entry.name for entry in entries), _WHEN_IT_CHANGES)
        self._attempts = Counter({entry.name: entry.attempts for entry in entries})
        self._again: Counter[str] = Counter()
        self._counts: Counter[Action] = Counter()
        self._obstacles: dict[str, str] = {}
        left_out = journal.get_fact(LEFT_OUT)
        self._left_out = set(map(str, left_out)) if isinstance(left_out, list) else set()
        hidden = journal.get_fact(UNREADABLE)
        self.unreadable = (
            {name: str(reason) for name, reason in hidden.items()}
            if isinstance(hidden, dict)
            else {}
        )
        self.refused = {r.name: Held(r.loss, r.reason) for r in journal.refusals()}
        self.source_fault = ""
        self.mount_fault = ""

    def done(self, events: Sequence[Done]) -> None:
        """Report what took effect, and let its names out of quarantine."""
        for event in events:
            self._counts[event.action] += event.count
            self.report(event)
            self.release(name.rstrip("/") for name in (event.name, event.new_name) if name)
        if any(event.action == "deleted" for event in events):
            self.room.deleted()
        gone = [event.name for event in events if event.action in {"deleted", "updated"}]
        if not self.refused.keys().isdisjoint(gone):
            self.refuse({}, gone)
            if not self.refused:
                # What a person approved is no trickle: the hour begins anew.
                self._journal.set_fact(COUNTED_FROM, time.time())

    def counted_from(self) -> float:
        """Return since when losses count together (Unix time): an hour, or the last approval."""
        approved = self._journal.get_fact(COUNTED_FROM)
        began = time.time() - _HOUR
        return max(began, approved) if isinstance(approved, float) else began

    def failed(self, name: str, error: BaseException) -> None:
        """Put a name into quarantine, tell why, and when it is tried again."""
        reason, hint = _reason(error)
        self._attempts[name] += 1
        next_try = time.time() + quarantine_seconds(error, self._attempts[name])
        self._journal.quarantine(_storable(name), reason, hint, next_try)
        self._again.pop(name, None)
        self._resting[name] = next_try
        self.room.failed(name, error)
        self.report(Failed(name, reason, hint, next_try))

    def again(self, name: str) -> bool:
        """Say whether the name may be looked at again at once; else it belongs in quarantine."""
        self._again[name] += 1
        return self._again[name] < TRIES_BEFORE_QUARANTINE and name not in self._resting

    def was_tried(self, name: str) -> bool:
        """Say whether the name failed before and is looked at again, in an earlier run too."""
        return name in self._again or name in self._resting

    def unseen(self, name: str, error: Exception, settle: float) -> float | None:
        """Return in how many seconds to look again at what could not be looked at.

        None when it was put into quarantine instead.
        """
        if isinstance(error, BusyError) and self.again(name):
            return again_seconds(error, settle)
        self.failed(name, error)
        return None

    def release(self, names: Iterable[str]) -> None:
        """Let names out of quarantine, and forget what went wrong with them."""
        out = []
        for name in names:
            self._again.pop(name, None)
            if self._resting.pop(name, None) is not None:
                self._attempts.pop(name, None)
                out.append(name)
        if out:
            self._journal.release(map(_storable, out))

    def release_others(self, names: Sequence[str], in_question: Callable[[str], bool]) -> None:
        """Let out what was looked at under ``names`` and is as it should be, or is gone."""
        self.release([n for n in self._resting if _within(n, names) and not in_question(n)])

    def resting(self, name: str) -> bool:
        """Say whether the name is in quarantine and its time has not come."""
        return self._resting.get(name, 0.0) > time.time()

    def in_quarantine(self) -> list[str]:
        """Return the names in quarantine."""
        return list(self._resting)

    def due_again(self) -> list[str]:
        """Return the names whose rest is over, or that may fit by now; each once."""
        now = time.time()
        due = [name for name, when in self._resting.items() if when <= now and when > 0]
        due += self.room.again(self._resting)
        self._resting.update(dict.fromkeys(due, 0.0))
        return due

    def failing(self) -> int:
        """Return how many names are not at the target as at the source; a skipped link is none."""
        return sum(entry.name not in self._left_out for entry in self._journal.quarantined())

    def counted(self, found: Scan) -> None:
        """Write down how many files a scan of everything saw at the source."""
        hidden = sum(not (o.left_out or o.below) for o in found.obstacles)
        self._journal.set_fact(COUNTED, {"files": found.found + hidden, "at": time.time()})

    def obstacles(self, found: Iterable[Obstacle], looked_at: Iterable[str]) -> None:
        """Show what cannot be read at the source; forget what no longer stands in the way."""
        obstacles, scope = list(found), tuple(looked_at)
        now = {obstacle.name: obstacle.reason for obstacle in obstacles}
        self._leave_out({_storable(o.name) for o in obstacles if o.left_out}, scope)
        gone = [n for n in self._obstacles if n not in now and _within(n, scope)]
        for name in gone:
            del self._obstacles[name]
        self._journal.release(map(_storable, gone))
        for name, reason in now.items():
            if self._obstacles.get(name) != reason:
                self._obstacles[name] = reason
                self._journal.quarantine(_storable(name), reason, "", _WHEN_IT_CHANGES)
                self.report(Failed(name, reason, "", _WHEN_IT_CHANGES))

    def tell_unreadable(self, hidden: Mapping[str, str]) -> None:
        """Tell what could not be listed at the target, when it becomes so."""
        before = self.unreadable
        if hidden == before:
            return
        self.unreadable = dict(hidden)
        self._journal.set_fact(UNREADABLE, dict(hidden))
        for name in sorted(hidden.keys() - before.keys()):
            text = f"{name} at the target cannot be read and is left alone, with all below it"
            self.report(Notice(f"{text}: {hidden[name]}", "warning"))

    def _leave_out(self, names: set[str], scope: Sequence[str]) -> None:
        """Write down what is no document and never meant to arrive."""
        before = self._left_out
        self._left_out = {name for name in before if not _within(name, scope)} | names
        if self._left_out != before:
            self._journal.set_fact(LEFT_OUT, sorted(self._left_out))

    def refuse(self, held: Mapping[str, Held], looked_at: Iterable[str]) -> None:
        """Keep what waits for a person; what was looked at and is not asked for is dropped."""
        scope, before = set(looked_at), dict(self.refused)
        self.refused = {n: h for n, h in before.items() if n not in scope} | dict(held)
        if self.refused != before:
            self._journal.refuse(self.refused)
        for reason in {held[name].reason for name in held.keys() - before.keys()}:
            names = sorted(name for name, one in held.items() if one.reason == reason)
            self.report(Refused(tuple(names), reason))

    def doubt_mounts(self, fault: str) -> None:
        """Tell that a disk below the source is not the one of before; '' that all are."""
        if fault and fault != self.mount_fault:
            text = f"At the source {fault}: what is missing or other there is not taken for gone"
            self.report(Notice(f"{text} until it is back, or paperfleet approve", "error"))
        self.mount_fault = fault

    def pause(self, event: Paused) -> None:
        """Show that nothing is sent, and why."""
        fact: JsonValue = {"reason": event.reason, "hint": event.hint, "until": event.until}
        self._journal.set_fact("paused", fact)
        self.report(event)

    @property
    def sweep_due(self) -> bool:
        """Whether a save may have left a temporary file at the target."""
        return bool(self._journal.get_fact("sweep_due"))

    @sweep_due.setter
    def sweep_due(self, due: bool) -> None:
        self.doubts += due
        if due != self.sweep_due:
            self._journal.set_fact("sweep_due", time.time() if due else False)

    def swept(self, *, claims: bool) -> None:
        """Note a sweep; another one is due where ``claims`` of the dead are left alone at first."""
        since = self._journal.get_fact("sweep_due")
        young = isinstance(since, float) and time.time() - since < _CLAIMED_SECONDS
        if not (claims and young):
            self.sweep_due = False

    def begin(self) -> None:
        """Note that a run begins; after one that was cut off a sweep is due.

        What it did at the target without a row in the journal (the trial of a server) may be there.
        """
        if self._journal.get_fact("running"):
            self.sweep_due = True
        self._journal.set_fact("running", True)

    def end(self) -> None:
        """Note that the run ended in order."""
        self._journal.set_fact("running", None)

    def contacted(self) -> None:
        """Take back a pause that an earlier run ended in."""
        self._journal.set_fact("paused", None)

    def resume(self, event: Resumed) -> None:
        """Show that the target answers again."""
        self._journal.set_fact("paused", None)
        self.report(event)

    def synced(self, *, first: bool, seconds: float) -> Synced:
        """Return the account of what was done since the last one."""
        counts = dict(self._counts)
        self._counts.clear()
        proven = self._journal.count_proven()
        account = Synced(first, seconds, counts, self.failing(), len(self.refused), proven)
        if first:
            by_name: dict[str, JsonValue] = {str(action): n for action, n in counts.items()}
            self._journal.set_fact(
                "first_sync", {"at": time.time(), "seconds": seconds, "counts": by_name}
            )
        return account

    def heartbeat(
        self, state: str, watching: str, *, settled: bool = False, waiting: int = 0
    ) -> None:
        """Write down that the mirror lives, and whether source and target agree.

        ``settled``: source and target were compared and everything that can be done is done;
        ``waiting``: how many names are still to be looked at.
        """
        beat: JsonValue = {
            "pid": os.getpid(),
            "at": time.time(),
            "state": state,
            "reason": self.source_fault or self.mount_fault,
            "watching": watching,
            "waiting": waiting,
        }
        self._journal.set_fact("heartbeat", beat)
        if settled:
            self._journal.set_fact("compared_at", time.time())
        if settled and not (self.failing() or self.mount_fault or self._held_content()):
            self._journal.set_fact("converged_at", time.time())

    def uploads(self, counts: Mapping[str, int]) -> None:
        """Write down how many uploads were proven, and how."""
        self._journal.set_fact(UPLOADS, dict(sorted(counts.items())))

    def findings(self, found: Mapping[str, object] | None) -> None:
        """Write down what the target's storage found out by trying."""
        if found != self._journal.get_fact(FINDINGS):
            self._journal.set_fact(FINDINGS, cast("JsonValue", found))

    def _held_content(self) -> bool:
        """Say whether content waits that is at the source and not at the target."""
        return any(held.loss != "delete" for held in self.refused.values())


def _reason(error: BaseException) -> tuple[str, str]:
    if isinstance(error, PaperfleetError):
        return getattr(error, "reason", error.message), error.hint
    return f"{type(error).__name__}: {error}", "This is a fault of Paperfleet; please report it"


def _storable(name: str) -> str:
    return name if is_utf8(name) else readable(name)


def _within(name: str, scope: Sequence[str]) -> bool:
    return any(not s or name == s or name.startswith(s + "/") for s in scope)
