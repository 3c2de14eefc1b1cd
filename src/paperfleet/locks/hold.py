"""One holding of a lease: what the holder knows of it."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from paperfleet.errors import LeaseError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.locks.protocol import LeaseBackend

DRIFT = 0.01
"""By what share of its time a holder considers its lease lost earlier than the store does."""

_log = logging.getLogger(__name__)


class Hold:
    """What is known of a lease that was granted for ``ttl`` seconds at ``asked`` or later.

    ``asked`` is the time of ``clock`` before the request was sent: the store's time cannot be over
    before the holder's. Once lost, it stays lost, also if the store would still renew it: somebody
    may have acted on the loss.
    """

    def __init__(
        self,
        backend: LeaseBackend,
        name: str,
        owner: str,
        generation: int,
        *,
        ttl: float,
        asked: float,
        clock: Callable[[], float],
    ) -> None:
        self.name, self.owner, self.generation, self.ttl = name, owner, generation, ttl
        self.expires = self._deadline(asked)
        self._backend, self._clock = backend, clock
        self._talking = threading.Lock()
        self._process = os.getpid()
        self._released = False
        self._lost = ""

    def _deadline(self, asked: float) -> float:
        return asked + self.ttl * (1 - DRIFT)

    @property
    def here(self) -> bool:
        """Whether this is the process that took it, and has not given it back."""
        return not self._released and self._process == os.getpid()

    def why_not(self) -> str:
        """Return '' while the lease is held, else why it is not."""
        if self._process != os.getpid():
            return "it belongs to the process that this one was forked from"
        if self._released:
            return "it was released"
        if not self._lost and self._clock() >= self.expires:
            self._lost = f"it was not renewed within its {self.ttl:g} s"
        return self._lost

    def check(self) -> None:
        """Raise ``LeaseLostError`` unless it is held."""
        if reason := self.why_not():
            raise LeaseLostError(
                f"the lease {self.name!r} on {self._backend.label} is lost: {reason}",
                hint="Another holder may be at work; nothing more is written under it",
            )

    def renew(self) -> None:
        """Ask the store for more time; ``why_not`` tells the outcome.

        Raises ``LeaseError`` when there is no answer, which loses nothing as long as there is time.
        """
        if self.why_not():  # also in a forked process, where nobody would let go of the lock
            return
        with self._talking:
            asked = self._clock()
            renewed = self._backend.renew(self.name, self.owner, self.generation, self.ttl)
            if not renewed:
                self._lost = "the store no longer knows this holder, or cut it off"
            elif not self.why_not():  # the answer came in time
                self.expires = self._deadline(asked)

    def release(self) -> None:
        """Give it back, unless it belongs to the parent of this process."""
        if not self.here:
            return
        with self._talking:
            if self._released:
                return
            self._released = True
            try:
                self._backend.release(self.name, self.owner, self.generation)
            except LeaseError as error:
                _log.warning("the lease %r runs out by itself: %s", self.name, error)
