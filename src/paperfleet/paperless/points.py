"""Named moments at which a test may end the process, or wait; nothing is there otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS = (
    "publish.staged",
    "publish.committed",
    "publish.sent",
    "run.claimed",
    "run.restored",
    "half.taken",
    "half.collated",
    "save.noted",
    "save.stored",
    "run.fenced",
    "run.committed",
    "run.returned",
    "finish.row",
    "finish.sent",
    "sweep.fenced",
    "sweep.claimed",
    "sweep.at_rest",
    "sweep.removed",
    "search.begun",
    "search.built",
    "search.switched",
    "search.read",
    "search.applied",
    "search.noted",
)
"""In the order in which a task, or a search index, passes them; each is right after what it names.
"""

_listeners: list[Callable[[str], None]] = []


def listen_with(listener: Callable[[str], None] | None) -> None:
    """From now on tell ``listener`` of every moment; None for nobody."""
    _listeners[:] = [] if listener is None else [listener]


def passed(name: str) -> None:
    """Tell that the process is at a moment."""
    for listener in _listeners:
        listener(name)
