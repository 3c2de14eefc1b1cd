"""What was to be deleted after a commit, and was not: told to whoever wants to know."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_undeleted: ContextVar[list[str]] = ContextVar("undeleted")


@contextlib.contextmanager
def watching() -> Iterator[list[str]]:
    """Yield a list that tells of each delete in this block that failed after its commit."""
    failed: list[str] = []
    token = _undeleted.set(failed)
    try:
        yield failed
    finally:
        _undeleted.reset(token)


def is_watched() -> bool:
    """Say whether this is such a block."""
    return _undeleted.get(None) is not None


def note(text: str) -> None:
    """Tell of such a delete."""
    _undeleted.get([]).append(text)
