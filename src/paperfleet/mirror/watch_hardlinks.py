"""The other names of a file that was changed by one of its hard links.

Who watches folders is told the name by which a file was changed, and none of its others
(inotify(7), "Limitations and caveats").
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from paperfleet.mirror.changes import Hint
from paperfleet.storage.names import is_temporary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.mirror.watch_tree import Folder, WatchedTree

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

    def _others(self, folder: Folder, wanted: dict[int, Hint]) -> Iterator[Hint]:
        try:
            with os.scandir(self._tree.path(folder.name)) as entries:
                names = [(entry.name, entry.inode()) for entry in entries]
        except OSError:
            return  # changed this moment: it has a hint of its own
        for segment, inode in names:
            hint = wanted.get(inode)
            if hint is not None and not is_temporary(segment) and folder.join(segment) != hint.name:
                yield Hint(folder.join(segment), hint.open)
