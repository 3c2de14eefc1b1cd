"""Mirrors of one target take turns: one works, the others stand by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import LeaseLostError
from paperfleet.locks.registry import open_lease_store
from paperfleet.mirror.events import Notice
from paperfleet.service.build import open_target
from paperfleet.service.standby import mirror_lease_name, stand_by
from paperfleet.storage.abilities import label_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.cli.stopping import Stopper
    from paperfleet.locks.protocol import Lease
    from paperfleet.mirror.events import Reporter
    from paperfleet.secret import Secret
    from paperfleet.service.settings import Settings


class HeldLease:
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
    settings: Settings,
    address: Secret,
    report: Reporter,
    stopper: Stopper,
    run: Callable[[Settings, Reporter, Stopper, HeldLease], int],
) -> int:
    """Stand by until the lease is free, run the mirror under it, and stand by again when lost."""
    name = mirror_lease_name(label_of(open_target(settings)))
    with open_lease_store(address) as store:
        while not stopper.stopping:
            held = HeldLease()
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
