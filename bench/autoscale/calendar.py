"""What happens when, in order of time, and of being planned where times are the same."""

from __future__ import annotations

import heapq
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Calendar:
    """Events to come. ``now`` is the time of the last one, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, time: float, happen: Callable[[], None]) -> None:
        """Plan an event."""
        heapq.heappush(self._events, (time, next(self._numbers), happen))

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Plan an event so long from now."""
        self.at(self.now + seconds, happen)

    def every(self, seconds: float, first: float, happen: Callable[[], None]) -> None:
        """Plan an event again and again."""
        self.at(first, partial(self._again, seconds, happen))

    def step(self) -> None:
        """Let the next event happen."""
        self.now, _, happen = heapq.heappop(self._events)
        happen()

    def _again(self, seconds: float, happen: Callable[[], None]) -> None:
        happen()
        self.every(seconds, self.now + seconds, happen)
