"""Which names may have changed, and which of them have come to rest. Pure: the clock is given."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVERYTHING = ""
"""The name that stands for the whole source."""

SOMEWHERE = ""
"""The partner of a name that was renamed to a place that is not known (yet)."""


class Hint(NamedTuple):
    """A name to look at again, with everything below it.

    ``name`` is relative to the source; ``''`` is everything. ``open`` says that somebody may still
    be writing the file. ``partner`` is the other half of a rename; ``''`` says that the name was
    renamed away and that the other half has not been seen.
    """

    name: str
    open: bool = False
    partner: str | None = None


class _Wait:
    """One waiting name. Times are of the caller's clock, in seconds.

    ``due``: when it settles; ``queued``: its valid key in the heap; ``since``: its first hint.
    ``hinted`` is False for a name that has only been put back.
    """

    __slots__ = ("due", "hinted", "partners", "queued", "since")

    def __init__(self, due: float, since: float) -> None:
        self.due = due
        self.hinted = False
        self.queued = due
        self.since = since
        self.partners: set[str] | None = None


def _never(_name: str) -> bool:
    return False


class Changes:
    """Holds hinted names until they have settled.

    A name settles ``settle`` seconds after its last hint; one that is open, ``open_settle`` seconds
    after it; one that was renamed to nobody knows where, after twice ``settle``. The two halves of
    a rename are taken together. No name waits for another one longer than twice ``open_settle``,
    so a file that is written without end holds back nothing but itself.
    """

    def __init__(self, settle: float = 0.1, open_settle: float = 5.0) -> None:
        self._settle = settle
        self._open_settle = open_settle
        self._patience = 2 * max(settle, open_settle)
        self._again = max(settle, 0.05)
        self._waiting: dict[str, _Wait] = {}
        self._linked: set[str] = set()
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        """Return how many names wait."""
        return len(self._waiting)

    def add(self, hints: Iterable[Hint], now: float) -> None:
        """Take hints in the order in which they arose."""
        for hint in hints:
            self._hinted(hint.name, now + self._rest(hint), now)
            if hint.partner and hint.partner != hint.name:
                self._link(hint.name, hint.partner, now)

    def put_back(self, names: Iterable[str], now: float, delay: float) -> None:
        """Look at these again in ``delay`` seconds; one that was hinted again, as was hinted."""
        for name in names:
            known = self._waiting.get(name)
            if known is None:
                self._set_due(name, now + delay, now)
            elif not known.hinted:
                self._set_due(name, min(known.due, now + delay), now)

    def take(self, now: float, busy: Callable[[str], bool] = _never) -> list[str]:
        """Remove and return what has settled, the longest settled first.

        ``''`` stands for everything and comes alone. Of a folder and a name below it only the
        folder is returned. A name for which ``busy(name)`` is true stays, and so do its partners.
        """
        ready = self._free(self._ready(now, busy), now)
        taken = dict.fromkeys(name for together in ready for name in together)
        for name in taken:
            self._remove(name)
        if EVERYTHING in taken:
            return [EVERYTHING]
        return [name for name in taken if not any(folder in taken for folder in parents(name))]

    def unsettled(self, name: str) -> bool:
        """Say whether the name waits, or a folder above it that is half of a rename.

        What waits below a folder does not make the folder unsettled.
        """
        if not self._waiting:
            return False
        return name in self._waiting or bool(self._renamed_above(name))

    def next_due(self, now: float) -> float | None:
        """Return in how many seconds ``take`` should be asked again; None when nothing waits."""
        while self._heap:
            key, name = self._heap[0]
            wait = self._waiting.get(name)
            if wait is not None and wait.queued == key:
                if key >= wait.due:
                    return max(0.0, key - now)
                self._queue(name, wait, wait.due)
            heapq.heappop(self._heap)
        return None

    def _rest(self, hint: Hint) -> float:
        if hint.open:
            return self._open_settle
        return 2 * self._settle if hint.partner == SOMEWHERE else self._settle

    def _hinted(self, name: str, due: float, now: float) -> None:
        wait = self._set_due(name, due, now)
        if not wait.hinted:
            wait.hinted = True
            wait.since = now

    def _set_due(self, name: str, due: float, now: float) -> _Wait:
        wait = self._waiting.get(name)
        if wait is None:
            wait = self._waiting[name] = _Wait(due, now)
            heapq.heappush(self._heap, (due, name))
            return wait
        # A full scan is not put off by the hints that keep asking for it.
        wait.due = min(wait.due, due) if name == EVERYTHING else due
        if wait.due < wait.queued:
            self._queue(name, wait, wait.due)
        return wait

    def _queue(self, name: str, wait: _Wait, key: float) -> None:
        """Give the name a new place in the heap; its old one is passed over when it comes up."""
        wait.queued = key
        heapq.heappush(self._heap, (key, name))

    def _requeue(self, names: Iterable[str], key: float) -> None:
        for name in names:
            wait = self._waiting[name]
            if wait.queued < key:
                self._queue(name, wait, key)

    def _link(self, one: str, other: str, now: float) -> None:
        if other not in self._waiting:
            self._hinted(other, now + self._settle, now)
        for name, partner in ((one, other), (other, one)):
            wait = self._waiting[name]
            if wait.partners is None:
                wait.partners = set()
                self._linked.add(name)
            wait.partners.add(partner)

    def _pop_due(self, now: float) -> list[str]:
        due = []
        while self._heap and self._heap[0][0] <= now:
            key, name = heapq.heappop(self._heap)
            wait = self._waiting.get(name)
            if wait is None or wait.queued != key:
                continue
            if wait.due > now:
                self._queue(name, wait, wait.due)
            else:
                # Out of the heap now: any key that _requeue gives is later than this one.
                wait.queued = float("-inf")
                due.append(name)
        return due

    def _ready(self, now: float, busy: Callable[[str], bool]) -> list[list[str]]:
        """Return what has settled and is not busy, in groups that belong together."""
        ready: list[list[str]] = []
        seen: set[str] = set()
        for name in self._pop_due(now):
            if name in seen:
                continue
            together = self._together(name, now)
            seen.update(together)
            due = max(self._waiting[name].due for name in together)
            if due > now:
                self._requeue(together, due)
            elif any(busy(name) for name in together):
                self._requeue(together, now + self._again)
            else:
                ready.append(together)
        return ready

    def _free(self, ready: list[list[str]], now: float) -> list[list[str]]:
        """Return the groups of which no name lies in a folder whose rename has to be seen first.

        The others are asked for again when that folder is, so that all of them settle together.
        """
        while self._linked:
            names = {name for together in ready for name in together}
            free = []
            for together in ready:
                again = [
                    self._waiting[folder].queued
                    for name in together
                    if not self._out_of_patience(name, now)
                    for folder in self._renamed_above(name)
                    if folder not in names
                ]
                if again:
                    self._requeue(together, max(again))
                else:
                    free.append(together)
            if len(free) == len(ready):
                break
            ready = free
        return ready

    def _together(self, name: str, now: float) -> list[str]:
        """Return the names that are to be taken with this one, itself first."""
        found = {name: None}
        if name not in self._linked or self._out_of_patience(name, now):
            return [name]
        todo = [name]
        while todo:
            for partner in self._waiting[todo.pop()].partners or ():
                if partner not in found and partner in self._waiting:
                    found[partner] = None
                    todo.append(partner)
        return list(found)

    def _out_of_patience(self, name: str, now: float) -> bool:
        return now - self._waiting[name].since > self._patience

    def _renamed_above(self, name: str) -> list[str]:
        """Return the waiting folders above the name that are half of a rename."""
        return [f for f in parents(name) if f in self._linked] if self._linked else []

    def _remove(self, name: str) -> None:
        wait = self._waiting.pop(name)
        if wait.partners is None:
            return
        self._linked.discard(name)
        for partner in wait.partners:
            other = self._waiting.get(partner)
            if other is not None and other.partners is not None:
                other.partners.discard(name)
                if not other.partners:
                    other.partners = None
                    self._linked.discard(partner)
