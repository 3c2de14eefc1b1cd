"""One lock for each name that is in use."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class NameLocks:
    """Lets the threads of this process change a name one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    def holding(self, *names: str) -> HeldNames:
        """Hold the locks of these names, taken in one order so that nobody waits in a circle."""
        return HeldNames(self, sorted(set(names)))

    def take(self, name: str) -> None:
        """Wait for a name, and hold it until ``release``."""
        with self._lock:
            lock, users = self._held.get(name, (threading.Lock(), 0))
            self._held[name] = (lock, users + 1)
        try:
            lock.acquire()
        except BaseException:
            self._leave(name)
            raise

    def release(self, name: str) -> None:
        """Let the next one have a name."""
        self._held[name][0].release()
        self._leave(name)

    def _leave(self, name: str) -> None:
        with self._lock:
            lock, users = self._held[name]
            if users == 1:
                del self._held[name]
            else:
                self._held[name] = (lock, users - 1)


class HeldNames:
    """A block in which names are held."""

    def __init__(self, locks: NameLocks, names: Sequence[str]) -> None:
        self._locks, self._names = locks, names
        self._taken: list[str] = []

    def __enter__(self) -> None:
        try:
            for name in self._names:
                self._locks.take(name)
                self._taken.append(name)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc_info: object) -> None:
        while self._taken:
            self._locks.release(self._taken.pop())
