"""Named moments at which a test may end the process, or wait; nothing is there otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Moments:
    """The moments of one part of the program, and who is told of them."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[str], None]] = []

    def listen_with(self, listener: Callable[[str], None] | None) -> None:
        """From now on tell ``listener`` of every moment; None for nobody."""
        self._listeners[:] = [] if listener is None else [listener]

    def passed(self, name: str) -> None:
        """Tell that the process is at a moment."""
        for listener in self._listeners:
            listener(name)
