"""Temporary names that this process is at work on: a sweep beside the work leaves them alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class NamesInUse:
    """A set of temporary names; each is made up once, so that one set does for all storages.

    Only the last segment counts. Safe to use from many threads.
    """

    def __init__(self) -> None:
        self._names: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Say whether somebody is at work on it."""
        return _last(name) in self._names

    def add(self, name: str) -> None:
        """Keep sweeps off a name until ``remove``."""
        self._names.add(_last(name))

    def remove(self, name: str) -> None:
        """Let sweeps have a name again."""
        self._names.discard(_last(name))

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """Keep sweeps off a name for as long as the block takes."""
        self.add(name)
        try:
            yield
        finally:
            self.remove(name)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


IN_USE = NamesInUse()
