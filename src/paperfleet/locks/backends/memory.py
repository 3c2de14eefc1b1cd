"""Leases in the memory of this process, for tests and for programs of one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.locks import clock as default_clock
from paperfleet.locks.protocol import Granted, LeaseRefused

if TYPE_CHECKING:
    from collections.abc import Callable


class _MemoryEntry(NamedTuple):
    generation: int
    owner: str = ""
    until: float = 0.0


class Memory:
    """What several ``MemoryLeases`` share, as several clients share a server."""

    def __init__(self) -> None:
        self.entries: dict[str, _MemoryEntry] = {}
        self.lock = threading.Lock()


class MemoryLeases:
    """Keeps leases in ``memory``; they and their generations end with the process."""

    label = "memory"

    def __init__(
        self, memory: Memory | None = None, *, clock: Callable[[], float] = default_clock.now
    ) -> None:
        self._memory, self._clock = memory or Memory(), clock

    def take(self, name: str, owner: str, ttl: float) -> Granted | LeaseRefused:
        """See ``LeaseBackend``."""
        with self._memory.lock:
            entry = self._memory.entries.get(name, _MemoryEntry(0))
            if entry.owner and self._clock() < entry.until:
                return LeaseRefused(entry.owner)
            generation = entry.generation + 1
            self._memory.entries[name] = _MemoryEntry(generation, owner, self._clock() + ttl)
            return Granted(generation)

    def renew(self, name: str, owner: str, generation: int, ttl: float) -> bool:
        """See ``LeaseBackend``."""
        with self._memory.lock:
            entry = self._memory.entries.get(name, _MemoryEntry(0))
            if entry.owner != owner or self._clock() >= entry.until:
                return False
            self._memory.entries[name] = _MemoryEntry(generation, owner, self._clock() + ttl)
            return True

    def release(self, name: str, owner: str, generation: int) -> None:
        """See ``LeaseBackend``."""
        with self._memory.lock:
            if self._memory.entries.get(name, _MemoryEntry(0)).owner == owner:
                self._memory.entries[name] = _MemoryEntry(generation)

    def forget(self) -> None:
        """See ``LeaseBackend``; a forked child has a memory of its own."""
        self._memory = Memory()

    def close(self) -> None:
        """See ``LeaseBackend``."""
