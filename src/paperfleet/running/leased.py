"""Mirrors of one target take turns: one works, the others stand by."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from paperfleet.errors import LeaseError, LeaseLostError, LeaseTimeoutError
from paperfleet.locks.registry import open_lease_store
from paperfleet.mirror.events import Notice
from paperfleet.running.build import open_target
from paperfleet.storage.full import full

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.locks.protocol import Lease, LeaseStore
    from paperfleet.mirror.events import Reporter
    from paperfleet.running.stopping import Stopper
    from paperfleet.secret import Secret
    from paperfleet.settings.mirror import MirrorSettings

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


class MirrorLease:
    """A lease in use: says whether writing is allowed, and stops the mirror when it is lost."""

    def __init__(self) -> None:
        self._lease: Lease | None = None
        self._stop: Callable[[], object] | None = None
        self.lost = ""

    def take(self, lease: Lease) -> None:
        """Hold this lease."""
        self._lease = lease

    def check(self) -> None:
        """Raise ``LeaseLostError`` when nothing may be written any more."""
        if self._lease is None or self.lost:
            raise LeaseLostError(self.lost or "there is no lease yet")
        self._lease.check()

    def call_when_lost(self, stop: Callable[[], object]) -> None:
        """Call this when the lease is lost, at once if it is already."""
        self._stop = stop
        if self.lost:
            stop()

    def lose(self, error: LeaseLostError) -> None:
        """Stop the mirror; called from the thread that keeps the lease."""
        self.lost = error.message
        if self._stop is not None:
            self._stop()


def run_leased(
    settings: MirrorSettings,
    address: Secret,
    report: Reporter,
    stopper: Stopper,
    run: Callable[[MirrorSettings, Reporter, Stopper, MirrorLease], int],
) -> int:
    """Stand by until the lease is free, run the mirror under it, and stand by again when lost."""
    name = mirror_lease_name(full(open_target(settings)).label)
    with open_lease_store(address) as store:
        while not stopper.stopping:
            held = MirrorLease()
            lease = stand_by(
                store,
                name,
                ttl=settings.lease_seconds,
                on_wait=lambda text: report(Notice(text, "info")),
                stopped=lambda: stopper.stopping,
                on_lost=held.lose,
            )
            if lease is None:
                break
            held.take(lease)
            with lease:
                code = run(settings, report, stopper, held)
            if not held.lost:
                return code
            report(Notice(f"{held.lost}; this one stands by", "warning"))
    return stopper.code
