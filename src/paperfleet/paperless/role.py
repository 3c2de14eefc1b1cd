"""The role of this process in a fleet: it holds the role's lease, and tells that it works.

The launcher (``paperfleet run``) stands by before it becomes the program. Here the program takes
the lease, renews it, and ends the moment that it is lost.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final, NoReturn

from paperfleet.errors import ConfigurationError, LeaseError
from paperfleet.locks.registry import open_lease_store
from paperfleet.paperless.activation import documents, stop
from paperfleet.printable import readable
from paperfleet.running import rolestate
from paperfleet.running.exitcodes import FINE, WRONG
from paperfleet.running.rolelease import SINGLETONS, is_web, launched, lease_of
from paperfleet.settings.app import METRICS_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.locks.protocol import Lease
    from paperfleet.running.rolelease import Launched

_LOOK_SECONDS = 0.25
_TAKING_SECONDS = 1.0


def sweep_tasks(lease: Lease) -> None:
    """Look after tasks whose worker has died (``delivery.sweeper``)."""
    if documents.configuration is None or not documents.configuration.settings.fleet:
        return
    from paperfleet.paperless.delivery import sweeper  # noqa: PLC0415  # in a fleet alone

    sweeper.sweep_tasks(documents.configuration.settings, lease)


UNDER_LEASE: Final[Mapping[str, tuple[Callable[[Lease], object], ...]]] = {
    "scheduler": (sweep_tasks,)
}
"""By role, what runs in a thread of its own for as long as the process holds the role's lease."""


def hear() -> None:
    """Let in the SIGTERM that the launcher has let wait, if one has come: it ends this process.

    Raises ``SystemExit`` then. Celery's own handler takes the place of this one later.
    """
    if signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def take_up() -> None:
    """Take the lease of the role that this process was launched for, if it was.

    Where another process is faster, or the store of leases does not answer, this one becomes the
    launcher again and stands by. Raises ``SystemExit`` for settings that cannot be. A web server
    has no lease; it serves metrics.
    """
    if is_web(os.environ):
        _serve_metrics()
    found = launched(os.environ)
    if found is None:
        return
    _connect(found)
    if found.role not in SINGLETONS:
        return
    from celery.signals import before_task_publish  # noqa: PLC0415  # not every process has Celery

    lease = _taken(found)
    if found.role == "consumer":  # it has no signal of Celery's, and from here on only watches
        rolestate.tell(found.state, rolestate.WORKING)
    atexit.register(lease.release)
    _LeaseWatch(lease).start()
    # A process that was stopped and goes on must not start a task before the watch has looked.
    before_task_publish.connect(lambda **_: _require(lease), weak=False)
    for work in UNDER_LEASE.get(found.role, ()):
        threading.Thread(target=work, args=(lease,), name=work.__name__, daemon=True).start()


def _serve_metrics() -> None:
    found = documents.configuration
    if found is None or not found.settings.metrics_port:
        return
    try:
        from paperfleet.paperless.scaling import gauges  # noqa: PLC0415  # of the web role alone
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        missing = ConfigurationError(
            "metrics need the package prometheus-client, which is not installed",
            hint=f"pip install 'paperfleet[paperless]', or set {METRICS_PORT}=0",
        )
        raise stop(missing) from error
    gauges.serve(found.settings, os.environ)


def _connect(found: Launched) -> None:
    """Tell the probes when the program works."""
    from celery.signals import beat_init, worker_ready, worker_shutting_down  # noqa: PLC0415

    def tell(state: str) -> Callable[..., None]:
        def told(**_: object) -> None:
            rolestate.tell(found.state, state)

        return told

    beat_init.connect(tell(rolestate.WORKING), weak=False)
    worker_ready.connect(tell(rolestate.WORKING), weak=False)
    worker_shutting_down.connect(tell(rolestate.STOPPING), weak=False)


def _taken(found: Launched) -> Lease:
    try:
        lease = lease_of(found.role, os.environ)
        store = open_lease_store(lease.address)
        return store.acquire(lease.name, ttl=lease.seconds, timeout=_TAKING_SECONDS)
    except ConfigurationError as error:
        raise stop(error) from error
    except LeaseError as error:
        _say(f"{error.message}: {found.role} stands by again")
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until it hears again
        again = [sys.executable, "-P", "-m", "paperfleet", "run", found.role]
        os.execv(sys.executable, again)  # noqa: S606  # itself


def _leave(*_: object) -> NoReturn:
    """End in order on a signal, so that the lease is given back."""
    raise SystemExit(FINE)


class _LeaseWatch(threading.Thread):
    """Ends the process when the lease is lost; the clock decides, not an answer of the store."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(name="lease of the role", daemon=True)
        self._lease, self._released = lease, threading.Event()
        atexit.register(self._released.set)  # before the lease is given back: last in, first out

    def run(self) -> None:
        while not self._released.wait(_LOOK_SECONDS):
            if not self._lease.held() and not self._released.is_set():
                _end(self._lease)


def _require(lease: Lease) -> None:
    if not lease.held():
        _end(lease)


def _end(lease: Lease) -> NoReturn:
    """End at once, without a chance for anything else to run."""
    try:
        lease.check()
        reason = "its lease was lost"
    except LeaseError as error:
        reason = error.message
    _say(f"{reason}. Another process may have the role: this one ends")
    os._exit(WRONG)


def _say(text: str) -> None:
    os.write(2, f"paperfleet: {readable(text)}\n".encode())
