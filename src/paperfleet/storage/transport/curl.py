"""A pool of connections of libcurl to one server."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pycurl

from paperfleet.storage.transport.alarm import Alarm
from paperfleet.storage.transport.exchange import CutOffError, TransportError
from paperfleet.storage.transport.line import Line
from paperfleet.storage.transport.patience import LOWEST_RATE
from paperfleet.storage.transport.surroundings import proxy_of, trust_of

if TYPE_CHECKING:
    from paperfleet.storage.transport.exchange import HttpRequest, HttpResponse

TIMEOUT = 60.0
KEEP_IDLE = 30.0
"""Seconds for which an idle connection is kept; proxies and firewalls forget longer ones."""

_open = weakref.WeakSet["CurlTransport"]()
_left_behind: list[Line] = []


class CurlTransport:
    """Sends requests to one origin (scheme, host and port) by HTTP/1.1; safe in many threads.

    ``connections`` are kept for reuse; while answers are held open there may be more. The proxy is
    that of the environment. ``verify`` and ``certificate`` as in ``trust_of``. ``timeout`` in
    seconds and ``lowest_rate`` in bytes a second as in ``Patience``. In a forked process the
    connections are made anew.

    Raises ``OSError`` when a certificate cannot be used, ``ValueError`` when the proxy cannot.
    """

    def __init__(
        self,
        origin: str,
        *,
        verify: bool | str | bytes = True,
        certificate: str | None = None,
        connections: int = 8,
        timeout: float = TIMEOUT,
        lowest_rate: float = LOWEST_RATE,
    ) -> None:
        self._proxy = proxy_of(origin)
        needs_trust = origin.startswith("https:") or self._proxy.startswith("https:")
        self._trust = trust_of(verify, certificate) if needs_trust else None
        self._connections, self._timeout, self._lowest_rate = connections, timeout, lowest_rate
        self._begin()
        _open.add(self)

    def _begin(self) -> None:
        self._alarm = Alarm()
        self._lock = threading.Lock()
        self._idle: list[Line] = []
        self._busy = set[Line]()
        self._closed = False

    def send(self, request: HttpRequest) -> HttpResponse:
        """See ``Transport``."""
        line = self._line()
        try:
            return self._sent(line, request)
        except TransportError:
            if not (request.repeatable and line.reused and not line.answered):
                raise
        return self._sent(self._line(new=True), request)

    def end_within(self, seconds: float) -> None:
        """See ``Transport``."""
        self._alarm.set(seconds)

    def close(self) -> None:
        """See ``Transport``."""
        self._alarm.set(0.0)
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()

    def _sent(self, line: Line, request: HttpRequest) -> HttpResponse:
        try:
            timeout = self._timeout if request.timeout is None else request.timeout
            return line.begin(request, timeout, self._lowest_rate)
        except BaseException:
            self._drop(line)
            raise

    def _line(self, *, new: bool = False) -> Line:
        if self._alarm.left() <= 0:
            raise CutOffError("it was not sent, as the program ends", sent=False)
        stale: list[Line] = []
        with self._lock:
            oldest = time.monotonic() - KEEP_IDLE
            while self._idle and self._idle[0].idle_since < oldest:
                stale.append(self._idle.pop(0))
            line: Line | None = None
            while self._idle and not new and line is None:
                line = self._idle.pop()
                if line.seems_dead():
                    stale.append(line)
                    line = None
            if line is None:
                line = Line(self._apply, self._alarm, self._take_back)
            self._busy.add(line)
        for one in stale:
            one.close()
        return line

    def _take_back(self, line: Line, reusable: bool) -> None:  # a callback
        line.idle_since = time.monotonic()
        with self._lock:
            keep = reusable and not self._closed and len(self._idle) < self._connections
            if keep:
                self._busy.discard(line)
                self._idle.append(line)
        if not keep:
            self._drop(line)

    def _drop(self, line: Line) -> None:
        with self._lock:
            self._busy.discard(line)
        line.close()

    def _apply(self, easy: pycurl.Curl) -> None:
        easy.setopt(pycurl.PROXY, self._proxy)
        easy.setopt(pycurl.NOPROXY, "")
        easy.setopt(pycurl.MAXAGE_CONN, int(KEEP_IDLE))
        if self._trust is not None:
            self._trust.apply(easy)

    def _forget(self) -> None:
        """Begin anew in a forked process; the connections belong to the other one."""
        lines = [*self._idle, *self._busy]
        for line in lines:
            line.forget()
        _left_behind.extend(lines)
        self._begin()


def _after_fork() -> None:
    for transport in list(_open):
        transport._forget()  # noqa: SLF001  # of this module


os.register_at_fork(after_in_child=_after_fork)
