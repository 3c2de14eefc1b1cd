"""``with`` blocks that nest and are open in many threads at once."""

from __future__ import annotations

import threading


class _Nest(threading.local):
    depth = 0

    def __init__(self) -> None:
        self.notes: set[str] = set()


class Blocks:
    """Collects notes in a block until its outermost end.

    Each thread has blocks of its own. The notes of a thread without one, working inside the block
    of another, wait for the end of the last block of all.
    """

    def __init__(self) -> None:
        self._nest = _Nest()
        self._lock = threading.Lock()
        self._open = 0
        self._stray: set[str] = set()

    def enter(self) -> None:
        """Open a block in this thread."""
        self._nest.depth += 1
        with self._lock:
            self._open += 1

    def note(self, text: str) -> None:
        """Remember a text until the block ends; outside of all blocks nothing is remembered."""
        if self._nest.depth:
            self._nest.notes.add(text)
            return
        with self._lock:
            if self._open:
                self._stray.add(text)

    def leave(self) -> set[str]:
        """Close a block; return the notes if it was the outermost one, else nothing."""
        self._nest.depth -= 1
        notes: set[str] = set()
        if not self._nest.depth:
            notes, self._nest.notes = self._nest.notes, notes
        with self._lock:
            self._open -= 1
            if not self._open:
                notes |= self._stray
                self._stray = set()
        return notes
