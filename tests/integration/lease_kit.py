"""What the tests of leases on real servers share."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from paperfleet.errors import LeaseError, LeaseTimeoutError

if TYPE_CHECKING:
    from paperfleet.errors import LeaseLostError
    from paperfleet.locks.protocol import Lease, LeaseStore

PATIENCE = 30.0


class Loss:
    """Notes when a lease was said to be lost."""

    def __init__(self) -> None:
        self._told = threading.Event()
        self.errors: list[LeaseLostError] = []

    def __call__(self, error: LeaseLostError) -> None:
        self.errors.append(error)
        self._told.set()

    def wait(self, seconds: float = PATIENCE) -> bool:
        return self._told.wait(seconds)


def take_over(store: LeaseStore, name: str, ttl: float, old: Lease) -> tuple[Lease, float]:
    """Acquire as soon as possible; return the lease and the seconds that took.

    Until then nobody may hold it but `old`, and from then on `old` may not: that is asserted here.
    """
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        try:
            lease = store.acquire(name, ttl=ttl, timeout=0)
        except LeaseTimeoutError:
            time.sleep(0.02)
        except LeaseError:  # the server is away
            time.sleep(0.1)
        else:
            assert not old.held(), "two holders"
            assert lease.generation > old.generation
            return lease, time.monotonic() - began
    raise TimeoutError(f"nobody got {name!r}")
