"""How long an exchange may take: a deadline for what moves nothing, a lowest rate for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOWEST_RATE = 1000.0
"""Bytes a second."""


class Patience:
    """Counts the seconds in which one exchange was waited for; those of the reader do not count.

    In each stretch of ``timeout`` seconds at least ``lowest_rate`` bytes a second of bodies have to
    move, one way or the other, and one byte at least. So a request that moves nothing has
    ``timeout`` seconds in all, whatever arrives of heads and interim answers.
    """

    def __init__(self, timeout: float, lowest_rate: float, moved: Callable[[], int]) -> None:
        self.left = self._timeout = timeout
        self._wanted = max(1.0, lowest_rate * timeout)
        self._moved = moved
        self._before = 0

    def spend(self, seconds: float) -> bool:
        """Note that so long was waited; say whether that is still acceptable."""
        self.left -= seconds
        if self.left > 0:
            return True
        moved = self._moved()
        well = moved - self._before >= self._wanted
        self.left, self._before = self._timeout, moved
        return well

    def renew(self) -> None:
        """Begin a new stretch: the head of a streamed answer has come."""
        self.left, self._before = self._timeout, self._moved()
