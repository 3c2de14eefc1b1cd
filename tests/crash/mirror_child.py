"""A mirror in a process of its own that kills itself at a named point.

A point is ``journal.METHOD`` or ``http.METHOD``, with ``before`` or ``after``: the process dies
right before the call, or right after it took effect.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tests.servers.s3 import S3Server

from paperfleet.journal.journal import Journal
from paperfleet.mirror.engine import Mirror, RunOutcome
from paperfleet.mirror.options import Options
from paperfleet.mirror.planning.guard import Limits
from paperfleet.mirror.watch.polling import PollingWatcher
from paperfleet.secret import Secret
from paperfleet.storage.dav.urls import parse_root
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.transport.curl import CurlTransport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from paperfleet.mirror.events import Event, Reporter
    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.storage.transport.exchange import HttpRequest, HttpResponse, Transport

T = TypeVar("T")

JOURNAL_WRITES = (
    "settle_leftovers",
    "remember",
    "record",
    "start",
    "complete_many",
    "set_folder_etags",
    "set_fact",
)
"""What a run without faults writes; ``doubt``, ``fail`` and ``quarantine`` need a fault."""


@dataclass(frozen=True)
class Setup:
    """Where everything is; plain data, as it crosses to another process.

    ``found`` is what the target's storage found out before; files are then not read back.
    """

    source: Path
    target: str
    journal: Path
    kind: str
    user: str = ""
    password: str = ""
    found: tuple[str, ...] = ()
    connections: int = 8


class Fuse:
    """Counts how often a point is reached and kills the process there the n-th time."""

    def __init__(self, point: str, nth: int) -> None:
        self._point, self._left = point, nth
        self._lock = threading.Lock()

    def around(self, name: str, call: Callable[[], T]) -> T:
        """Make the call between its two points."""
        self._reach(f"{name}:before")
        result = call()
        self._reach(f"{name}:after")
        return result

    def _reach(self, point: str) -> None:
        with self._lock:
            if point != self._point:
                return
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class FusedTransport:
    """An HTTP transport with a point before each request and one after its answer."""

    def __init__(self, fuse: Fuse, url: str) -> None:
        self._fuse, self._inner = fuse, CurlTransport(parse_root(url).origin)

    def send(self, request: HttpRequest) -> HttpResponse:
        return self._fuse.around(f"http.{request.method}", lambda: self._inner.send(request))

    def end_within(self, seconds: float) -> None:
        self._inner.end_within(seconds)

    def close(self) -> None:
        self._inner.close()


def open_target(setup: Setup, transport: Transport | None) -> DocumentStorage:
    """Return the target of a setup; a bucket's is its endpoint, its name and the location in it."""
    if setup.kind == "bucket":
        endpoint, bucket, location = setup.target.rsplit("/", 2)
        return S3Server(endpoint, setup.user, setup.password, bucket).backend(location=location)
    options: dict[str, Any] = {
        "username": setup.user,
        "password": Secret(setup.password),
        "transport": transport,
    }
    if setup.kind == "nextcloud":
        from paperfleet.storage.nextcloud.backend import NextcloudBackend

        return NextcloudBackend(setup.target, **options)
    storage = WebDavBackend(setup.target, **options)
    if setup.found:
        storage.adopt_findings({"server": [storage.label, *setup.found], "whole": True})
    return storage


def _quiet(event: Event) -> None:
    """Take no notice."""


def run_once(setup: Setup, fuse: Fuse | None = None, report: Reporter = _quiet) -> RunOutcome:
    """Run a mirror until it has converged, on a fuse if one is given."""
    target = open_target(setup, FusedTransport(fuse, setup.target) if fuse else None)
    with Journal.open(setup.journal, source="source", target="target") as journal:
        if fuse:
            _arm(journal, fuse)
        source = LocalBackend(setup.source, read_only=True)
        options = Options(
            settle=0.0,
            open_settle=0.0,
            limits=Limits(share=1, overwrite_share=1),
            verify="size" if setup.found else "sample",
            connections=setup.connections,
        )
        with Mirror(
            source, target, journal, PollingWatcher(setup.source, 60), options, report
        ) as mirror:
            return mirror.run_once()


def _arm(journal: Journal, fuse: Fuse) -> None:
    for method in JOURNAL_WRITES:
        setattr(journal, method, _fused(fuse, method, getattr(journal, method)))


def _fused(fuse: Fuse, method: str, write: Callable[..., T]) -> Callable[..., T]:
    def call(*arguments: Any, **options: Any) -> T:  # noqa: ANN401  # passes on what it is given
        return fuse.around(f"journal.{method}", lambda: write(*arguments, **options))

    return call


def child(setup: Setup, point: str, nth: int) -> None:
    """Run on a fuse; the process ends with 0 when the point was not reached so often."""
    run_once(setup, Fuse(point, nth))
