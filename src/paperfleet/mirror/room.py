"""Noticing that a target that was full has room again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import QuotaExceededError, Scope, StorageError
from paperfleet.storage import abilities

if TYPE_CHECKING:
    from collections.abc import Iterable

    from paperfleet.storage.protocol import DocumentStorage

LOOK_SECONDS = 30.0
"""Seconds between two questions for the room that there is, while something does not fit."""


class Room:
    """Remembers what did not fit, and finds out when it is worth another try.

    That is when the mirror itself deleted something, or when the target has more room than when it
    was last asked. Times are seconds of the caller's clock.
    """

    def __init__(self, target: DocumentStorage) -> None:
        self._target = target
        self._waiting: set[str] = set()
        self._free: int | None = None
        self._next_look: float | None = None
        self._made = False

    def failed(self, name: str, error: BaseException) -> None:
        """Take note of a name that was put into quarantine."""
        if isinstance(error, QuotaExceededError):
            self._waiting.add(name)

    def deleted(self) -> None:
        """Take note that the mirror deleted something at the target."""
        self._made = bool(self._waiting)

    def again(self, resting: Iterable[str], now: float) -> list[str]:
        """Return the names that are worth another try now, each once; may ask the target.

        ``resting`` are the names that are still in quarantine.
        """
        self._waiting.intersection_update(resting)
        if not self._waiting:
            self._next_look, self._made = None, False
            return []
        if not (self._made or self._grew(now)):
            return []
        names, self._made = sorted(self._waiting), False
        self._waiting.clear()
        return names

    def _grew(self, now: float) -> bool:
        first = self._next_look is None
        if self._next_look is not None and now < self._next_look:
            return False
        self._next_look = now + LOOK_SECONDS
        before, self._free = self._free, self._asked()
        if first or before is None:
            return False
        return self._free is None or self._free > before

    def _asked(self) -> int | None:
        try:
            return abilities.free_bytes(self._target)
        except StorageError as error:
            if error.scope is Scope.STORAGE:
                raise
            return None  # it may not be asked for that; the usual rest is all there is
