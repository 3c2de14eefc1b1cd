"""Connections that are open while somebody is in a ``with`` block of what uses them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.transport.exchange import Transport


class HttpPool:
    """One transport for all blocks, which nest and may be open in many threads.

    The first block opens it, unless one was ``given``; the last one closes it.
    """

    def __init__(self, opened: Callable[[], Transport], given: Transport | None = None) -> None:
        self._opened, self._given = opened, given
        self._lock = threading.Lock()
        self._depth = 0
        self._transport: Transport | None = None

    def enter(self) -> None:
        """Begin a block."""
        with self._lock:
            if self._transport is None:
                self._transport = self._given or self._opened()
            self._depth += 1

    def leave(self) -> None:
        """End a block."""
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    @property
    def transport(self) -> Transport:
        """What sends requests; raise ``RuntimeError`` outside of a block."""
        transport = self._transport
        if transport is None:
            raise RuntimeError("a storage is used inside its with block only")
        return transport

    def end_within(self, seconds: float) -> None:
        """End what is under way within so many seconds, and what comes later at once.

        Takes no lock: safe in a signal handler.
        """
        if (transport := self._transport) is not None:
            transport.end_within(seconds)
