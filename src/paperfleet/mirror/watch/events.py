"""What inotify's events say: which names to look at again."""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from inotify_simple import flags

from paperfleet.mirror.watch.changes import SOMEWHERE, Hint
from paperfleet.storage.names import is_temporary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from inotify_simple import Event

    from paperfleet.mirror.watch.tree import WatchedFolder, WatchedTree

_PAUSE = 1.0  # seconds between two searches, at least
_SHARE = 0.1  # of the time may be spent on searching


class HardLinks:
    """Remembers changed files that have several names, and searches the tree for these.

    A search lists every watched folder once, for all files remembered; the names come with their
    inode numbers, so no file is touched.
    """

    def __init__(self, tree: WatchedTree) -> None:
        self._tree = tree
        self._wanted: dict[int, Hint] = {}
        self._not_before = 0.0

    def note(self, hint: Hint) -> None:
        """Take note that the file of this name was changed."""
        try:
            found = os.lstat(self._tree.path(hint.name))
        except OSError:
            return  # gone again: its other names, if any, are as they were
        if found.st_nlink > 1 and stat.S_ISREG(found.st_mode):
            self._wanted[found.st_ino] = hint

    def next_due(self) -> float | None:
        """Return the time of the next search, None if there is nothing to search for."""
        return self._not_before if self._wanted else None

    def hints(self, now: float) -> list[Hint]:
        """Search, if it is time to, and return hints at the other names."""
        if not self._wanted or now < self._not_before:
            return []
        wanted, self._wanted = self._wanted, {}
        started = time.perf_counter()
        found = [hint for folder in self._tree.folders() for hint in self._others(folder, wanted)]
        self._not_before = now + max(_PAUSE, (time.perf_counter() - started) / _SHARE)
        return found

    def _others(self, folder: WatchedFolder, wanted: dict[int, Hint]) -> Iterator[Hint]:
        try:
            with os.scandir(self._tree.path(folder.name)) as entries:
                names = [(entry.name, entry.inode()) for entry in entries]
        except OSError:
            return  # changed this moment: it has a hint of its own
        for segment, inode in names:
            hint = wanted.get(inode)
            if hint is not None and not is_temporary(segment) and folder.join(segment) != hint.name:
                yield Hint(folder.join(segment), hint.open)


_CREATE = int(flags.CREATE)
_MODIFY = int(flags.MODIFY)
_ATTRIB = int(flags.ATTRIB)
_CLOSE_WRITE = int(flags.CLOSE_WRITE)
_CHANGED = _MODIFY | _CLOSE_WRITE | _ATTRIB
_MOVED_FROM = int(flags.MOVED_FROM)
_MOVED_TO = int(flags.MOVED_TO)
_MOVE_SELF = int(flags.MOVE_SELF)
_ISDIR = int(flags.ISDIR)
_IGNORED = int(flags.IGNORED)
_UNMOUNT = int(flags.UNMOUNT)
_Q_OVERFLOW = int(flags.Q_OVERFLOW)
_LOST = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT | flags.IGNORED)

PAIRING = 1.0
"""Seconds in which the second half of a rename must come. The kernel reports both in one go."""

QUIET = 0.5
"""Seconds in which a file that is being written is mentioned only once."""


class _Departure(NamedTuple):
    """The first half of a rename. ``writing``: names below it that were being written."""

    name: str
    open: bool
    writing: list[str]
    at: float


class EventReader:
    """Turns events into hints, and keeps the watched tree in step. The clock is given.

    ``overflowed`` becomes true when the kernel has dropped events, ``root_lost`` when the root was
    moved, deleted or unmounted, ``unmounted`` when a filesystem below it was; the caller acts on
    them.
    """

    def __init__(self, tree: WatchedTree) -> None:
        self._tree = tree
        self._departures: dict[int, list[_Departure]] = {}
        self._unsaid: dict[tuple[WatchedFolder, str], float] = {}
        self._hard_links = HardLinks(tree)
        self.overflowed = False
        self.root_lost = False
        self.unmounted = False

    def read(self, events: Iterable[Event], now: float) -> list[Hint]:
        """Return the hints of these events, in their order, and those whose time has come."""
        self._forget_departures(now)
        hints = [hint for event in events for hint in self._on_event(event, now)]
        hints += self._say_unsaid(now)
        hints += self._hard_links.hints(now)
        return hints + self._by_links(hints)

    def next_due(self) -> float | None:
        """Return the time at which ``read`` has hints without new events, None if never."""
        unsaid = next(iter(self._unsaid.values()), None)
        return min(
            (t for t in (unsaid, self._hard_links.next_due()) if t is not None), default=None
        )

    def _on_event(self, event: Event, now: float) -> Iterator[Hint]:
        if event.mask & _Q_OVERFLOW:
            self.overflowed = True
            return
        for folder in self._tree.at(event.wd):
            if not event.name:
                yield from self._on_itself(folder, event)
            elif not is_temporary(event.name):
                yield from self._on_entry(folder, event, now)
        if event.mask & _IGNORED:
            self._tree.forget(event.wd)

    def _on_itself(self, folder: WatchedFolder, event: Event) -> Iterator[Hint]:
        """Act on what a folder says of itself; the one above it says the rest."""
        if folder.above is None:
            self.root_lost = self.root_lost or bool(event.mask & _LOST)
            if event.mask & _ATTRIB:
                yield Hint(folder.name)
        elif event.mask & _UNMOUNT:
            self.unmounted = True  # its files are hidden, not gone
        elif event.mask & _IGNORED:
            self._tree.forget(event.wd)
            self._tree.renew(folder.above, folder.segment)
            yield Hint(folder.name)

    def _on_entry(self, folder: WatchedFolder, event: Event, now: float) -> Iterator[Hint]:
        if event.mask & _ISDIR:
            yield from self._on_folder(folder, event, now)
        else:
            yield from self._on_file(folder, event, now)

    def _on_folder(self, above: WatchedFolder, event: Event, now: float) -> Iterator[Hint]:
        name = above.join(event.name)
        if event.mask & _ATTRIB and self._tree.is_whole(above, event.name):
            yield Hint(name)
            return
        writing = self._tree.renew(above, event.name)
        if event.mask & _MOVED_FROM:
            yield self._depart(event.cookie, _Departure(name, open=False, writing=writing, at=now))
        elif event.mask & _MOVED_TO:
            yield from self._arrive(above, event, now)
        else:
            yield Hint(name)

    def _on_file(self, folder: WatchedFolder, event: Event, now: float) -> Iterator[Hint]:
        segment, mask = event.name, event.mask
        name = folder.join(segment)
        if not mask & _CHANGED:
            self._tree.renew_link(folder, segment)
        if mask & _CHANGED:
            yield from self._changed(folder, segment, mask, now)
        elif mask & _CREATE:
            yield self._created(folder, segment, now)
        elif mask & _MOVED_TO:
            # It may have been written under its old name, where it cannot be looked at any more.
            self._hard_links.note(Hint(name))
            yield from self._arrive(folder, event, now)
        else:
            was_open = folder.writing.pop(segment, None) is not None
            if mask & _MOVED_FROM:
                yield self._depart(event.cookie, _Departure(name, was_open, [], now))
            else:
                yield Hint(name)

    def _by_links(self, hints: list[Hint]) -> list[Hint]:
        """Return hints at the followed links that lead to what is hinted at."""
        found = {hint.name: hint.open for hint in hints}
        links = self._tree.links_to(found)
        for link, _ in links:
            folder, segment = self._tree.locate(link)
            if folder is not None:
                self._tree.renew(folder, segment)
        return [Hint(link, found.get(target, False)) for link, target in links]

    def _changed(
        self, folder: WatchedFolder, segment: str, mask: int, now: float
    ) -> Iterator[Hint]:
        """Act on a change of the file itself, not of its name."""
        if mask & _MODIFY:
            if self._was_mentioned(folder, segment, now):
                return
            folder.writing[segment] = now
        elif mask & _CLOSE_WRITE:
            folder.writing.pop(segment, None)
        hint = Hint(folder.join(segment), segment in folder.writing)
        self._hard_links.note(hint)
        yield hint

    def _created(self, folder: WatchedFolder, segment: str, now: float) -> Hint:
        name = folder.join(segment)
        if _is_being_made(self._tree.path(name)):
            folder.writing[segment] = now
            return Hint(name, open=True)
        return Hint(name)

    def _was_mentioned(self, folder: WatchedFolder, segment: str, now: float) -> bool:
        """Say whether it was said just now that this file is being written; it will be again."""
        said = folder.writing.get(segment)
        if said is None or now - said >= QUIET:
            return False
        self._unsaid.setdefault((folder, segment), now + QUIET)
        return True

    def _say_unsaid(self, now: float) -> list[Hint]:
        hints = []
        while self._unsaid:
            (folder, segment), due = next(iter(self._unsaid.items()))
            if due > now:
                break
            del self._unsaid[folder, segment]
            if segment in folder.writing:
                folder.writing[segment] = now
                hints.append(Hint(folder.join(segment), open=True))
                self._hard_links.note(hints[-1])
        return hints

    def _depart(self, cookie: int, departure: _Departure) -> Hint:
        self._departures.setdefault(cookie, []).append(departure)
        return Hint(departure.name, partner=SOMEWHERE)

    def _arrive(self, folder: WatchedFolder, event: Event, now: float) -> Iterator[Hint]:
        name = folder.join(event.name)
        folder.writing.pop(event.name, None)  # of a file that the arriving one has replaced
        departures = self._departures.get(event.cookie)
        if not departures:
            yield Hint(name)
            return
        departure = departures.pop(0)
        if departure.open:
            folder.writing[event.name] = now
        yield Hint(departure.name, partner=name)
        yield Hint(name, departure.open, departure.name)
        for inner in departure.writing:
            yield self._still_written(f"{name}/{inner}", now)

    def _still_written(self, name: str, now: float) -> Hint:
        folder, segment = self._tree.locate(name)
        if folder is None:
            return Hint(name)
        folder.writing[segment] = now
        return Hint(name, open=True)

    def _forget_departures(self, now: float) -> None:
        old = [
            cookie
            for cookie, departures in self._departures.items()
            if not departures or departures[0].at + PAIRING < now
        ]
        for cookie in old:
            del self._departures[cookie]


def _is_being_made(path: str) -> bool:
    """Say whether a new name is that of a file whose writer has yet to close it.

    A new hard link, a symbolic link, a pipe are complete when they appear.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return False  # gone again, or hidden: there is nothing to wait for
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1
