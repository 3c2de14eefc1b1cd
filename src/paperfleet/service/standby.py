"""Two mirrors of one target: one works, one stands by and takes over."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from paperfleet.errors import LeaseError, LeaseTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.errors import LeaseLostError
    from paperfleet.locks.protocol import Lease, LeaseStore

_STEP_SECONDS = 1.0


def stand_by(
    store: LeaseStore,
    name: str,
    *,
    ttl: float,
    on_wait: Callable[[str], object],
    stopped: Callable[[], bool],
    on_lost: Callable[[LeaseLostError], object] | None = None,
) -> Lease | None:
    """Wait for a lease for as long as it takes, and return it; None once ``stopped`` says so.

    A holder that is killed, stopped or cut off is succeeded within ``ttl`` seconds. ``on_wait`` is
    told why there is need to wait, at first and whenever that changes, such as when the store does
    not answer: standing by goes on then. ``stopped`` is asked once a second; ``on_lost`` is that of
    ``LeaseStore.acquire``. Raises ``ConfigurationError`` for what waiting does not help.
    """
    told = ""
    step = min(_STEP_SECONDS, ttl / 3)
    while not stopped():
        try:
            return store.acquire(name, ttl=ttl, timeout=step, on_lost=on_lost)
        except LeaseError as error:
            if error.message != told:
                told = error.message
                on_wait(f"standing by: {told}")
            if not isinstance(error, LeaseTimeoutError):
                time.sleep(step)
    return None


def mirror_lease_name(target: str) -> str:
    """Return the name of the lease that all mirrors of a target share.

    ``target`` is the label of its storage, so the same address must be spelled alike on all hosts.
    """
    return f"mirror {hashlib.sha256(target.encode(errors='surrogateescape')).hexdigest()[:32]}"
