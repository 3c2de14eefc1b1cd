"""Noticing that a target that was full has room again. Pure: clock and answers are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import QuotaExceededError

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOK_SECONDS = 30.0
"""Seconds between two questions for the room that there is, while something does not fit."""


class Room:
    """Remembers what did not fit, and finds out when it is worth another try.

    That is when the mirror itself deleted something, or when the target has more room than when it
    was last asked. Times are seconds of the caller's clock.
    """

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._free: int | None = None
        self._next_look: float | None = None
        self._told = False
        self._made = False

    def failed(self, name: str, error: BaseException) -> None:
        """Take note of a name that was put into quarantine."""
        if isinstance(error, QuotaExceededError):
            self._waiting.add(name)

    def deleted(self) -> None:
        """Take note that the mirror deleted something at the target."""
        self._made = bool(self._waiting)

    def question_is_due(self, now: float) -> bool:
        """Say whether the target is to be asked for its room."""
        waits = self._next_look is not None and now < self._next_look
        return bool(self._waiting) and not self._made and not waits

    def asked(self, now: float) -> None:
        """Take note that the target is being asked: the next question is later."""
        self._next_look = now + LOOK_SECONDS

    def told(self, free: int | None) -> None:
        """Take note of the room that the target tells, None where it may not be asked for that."""
        before, self._free = self._free, free
        grew = before is not None and (free is None or free > before)
        self._made = self._made or (grew and self._told and bool(self._waiting))
        self._told = True

    def again(self, resting: Iterable[str]) -> list[str]:
        """Return the names that are worth another try now, each once.

        ``resting`` are the names that are still in quarantine.
        """
        self._waiting.intersection_update(resting)
        if not self._waiting:
            self._next_look, self._told, self._made = None, False, False
            return []
        if not self._made:
            return []
        names, self._made = sorted(self._waiting), False
        self._waiting.clear()
        return names
