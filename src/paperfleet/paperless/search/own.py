"""What a process searches right after its own edit: it waits for the index, a second at most."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST: Final = 1.0
"""Seconds for which a search waits for an edit of its own process."""
_LOOK: Final = 0.02


class _Own:
    """The latest edit of this process, and who knows when the index has it."""

    edited = 0.0
    """When it was committed, as ``time.time``."""
    has: Callable[[float], bool] | None = None
    """Says whether the index has everything that was committed at a time; None in no web server."""
    waits = 0
    """How often a search has asked."""


_own = _Own()


def follow_with(has: Callable[[float], bool] | None) -> None:
    """Ask this from now on whether the index has what was committed at a time."""
    _own.has = has


def edited() -> None:
    """Note that this process has committed a change."""
    _own.edited = time.time()


def waits() -> int:
    """Return how often a search of this process came here; for the self-test."""
    return _own.waits


def wait() -> None:
    """Return when the index has this process's own latest edit, or it is a second old."""
    _own.waits += 1
    edit = _own.edited
    while _own.has is not None and time.time() < edit + LONGEST and not _own.has(edit):
        time.sleep(_LOOK)
