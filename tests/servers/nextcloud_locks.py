"""Locks on paths in the Nextcloud double: held by a running write, or left behind."""

from __future__ import annotations

import contextlib
import math
import threading
from typing import TYPE_CHECKING

from tests.servers.nextcloud_errors import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AN_HOUR = 3600.0


class Locks:
    """Paths that nobody may touch at the moment, each with the time until which that holds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._held: dict[str, float] = {}
        self._clock = clock
        self._guard = threading.Lock()

    def lock(self, path: str, seconds: float = AN_HOUR) -> None:
        """Leave a lock on a path, as a dead server process does."""
        with self._guard:
            self._held[path] = self._clock() + seconds

    def unlock(self, path: str) -> None:
        """Take the lock off a path."""
        with self._guard:
            self._held.pop(path, None)

    def check(self, path: str, *, tree: bool = False, status: int = 423) -> None:
        """Refuse when the path or a folder above it is locked; with `tree` also anything below."""
        with self._guard:
            self._check(path, tree=tree, status=status)

    @contextlib.contextmanager
    def writing(self, path: str, status: int = 423) -> Iterator[None]:
        """Hold the lock of a path; refuse with `status` when somebody has it."""
        with self._guard:
            self._check(path, tree=True, status=status)
            self._held[path] = math.inf
        try:
            yield
        finally:
            self.unlock(path)

    def _check(self, path: str, *, tree: bool, status: int) -> None:
        now = self._clock()
        for held in [name for name, until in self._held.items() if until > now]:
            above = path == held or path.startswith(held + "/")
            if above or (tree and held.startswith(path + "/" if path else "")):
                raise locked(held, status)
