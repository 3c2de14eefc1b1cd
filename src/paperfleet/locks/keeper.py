"""The heartbeat of a lease."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from paperfleet.errors import LeaseError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.locks.hold import Hold

_BEATS = 3
_BEATS_IN_TROUBLE = 12

_log = logging.getLogger(__name__)


class Keeper:
    """Renews a lease at every third of its time, until it is stopped or the lease is lost.

    A renewal that fails is tried again soon, for as long as the lease lasts. A loss is logged, told
    to ``on_lost``, and ends the keeper.
    """

    def __init__(self, hold: Hold, on_lost: Callable[[LeaseLostError], object] | None) -> None:
        """Start at once, in a daemon thread."""
        self._hold, self._on_lost = hold, on_lost
        self._stopped = threading.Event()
        thread = threading.Thread(target=self._run, name=f"lease {hold.name}", daemon=True)
        thread.start()

    def stop(self) -> None:
        """Renew no more; a renewal that is under way may still end."""
        self._stopped.set()

    def _run(self) -> None:
        pause = self._hold.ttl / _BEATS
        while not self._stopped.wait(pause):
            pause = self._hold.ttl / (_BEATS if self._renewed() else _BEATS_IN_TROUBLE)
            if self._said_lost():
                return

    def _renewed(self) -> bool:
        try:
            self._hold.renew()
        except LeaseError as error:
            _log.warning("the lease %r could not be renewed: %s", self._hold.name, error)
            return False
        return True

    def _said_lost(self) -> bool:
        try:
            self._hold.check()
        except LeaseLostError as error:
            if not self._stopped.is_set():
                _log.error("%s", error)
                if self._on_lost is not None:
                    self._on_lost(error)
            return True
        return False
