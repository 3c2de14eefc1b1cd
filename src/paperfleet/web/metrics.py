"""Metrics in Prometheus' text format, on a port of their own.

What is told comes from a function that whoever starts the server hands it; this module knows the
format and the port alone. The format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from paperfleet.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PATH: Final = "/metrics"
FRESH_SECONDS: Final = 1.5
"""For so long several who ask get the same answer."""
PATIENCE_SECONDS: Final = 2.0
"""For so long somebody waits for an answer that another one has asked for."""
BIND_AGAIN_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 5.0
"""A client that says nothing for so long is left."""
_USED_SECONDS: Final = 10.0
"""A port that is used for longer is no other process's that is about to end."""
_log = logging.getLogger("paperfleet.web")


class MetricGauge(NamedTuple):
    """A number that goes up and down; ``values`` has one for each combination of its ``labels``."""

    name: str
    meaning: str
    values: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()


class MetricsAnswer(NamedTuple):
    """A status of HTTP, and what is sent with it."""

    status: HTTPStatus
    body: bytes


class MetricsAnswers:
    """Gives the newest answer; ``read`` is called by one thread at a time.

    Its ``NotReadyError`` becomes a 503: no answer is told apart from an answer of 0.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[MetricGauge]],
        *,
        fresh: float = FRESH_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._read, self._fresh, self._patience = read, fresh, patience
        self._reading = threading.Lock()
        self._last: MetricsAnswer | None = None
        self._read_at = 0.0
        self._told = ""

    def __call__(self) -> MetricsAnswer:
        """Return an answer that is no older than ``fresh``."""
        if not self._reading.acquire(timeout=self._patience):
            return _refused("what was asked before is not answered yet")
        try:
            if self._last is None or time.monotonic() - self._read_at > self._fresh:
                self._last = self._ask()
                self._read_at = time.monotonic()
            return self._last
        finally:
            self._reading.release()

    def _ask(self) -> MetricsAnswer:
        try:
            answer = MetricsAnswer(HTTPStatus.OK, text_of(self._read()))
        except NotReadyError as error:
            self._tell(error.message)
            return _refused(error.message)
        except Exception:  # noqa: BLE001  # one answer is lost, not the thread of all others
            _log.exception("the metrics could not be read")
            return MetricsAnswer(HTTPStatus.INTERNAL_SERVER_ERROR, b"see the log of this process\n")
        self._tell("")
        return answer

    def _tell(self, reason: str) -> None:
        """Say in the log what has changed."""
        if reason != self._told:
            _log.warning("metrics: %s", reason or "they can be read again")
        self._told = reason


def _refused(reason: str) -> MetricsAnswer:
    return MetricsAnswer(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}\n".encode())


class _Gauges(Collector):
    def __init__(self, gauges: Sequence[MetricGauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.meaning, labels=gauge.labels)
            for labels, value in gauge.values.items():
                family.add_metric(labels, value)
            yield family


def text_of(gauges: Sequence[MetricGauge]) -> bytes:
    """Return gauges in the text format."""
    registry = CollectorRegistry()
    registry.register(_Gauges(gauges))
    return generate_latest(registry)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SILENT_SECONDS

    def do_GET(self) -> None:
        if self.path.partition("?")[0] == PATH:
            self._answer(*self.server.answers())
        else:
            self._answer(HTTPStatus.NOT_FOUND, f"there is {PATH}\n".encode())

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        is_metrics = status == HTTPStatus.OK
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST if is_metrics else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


class _Server(ThreadingMixIn, TCPServer):
    # Not http.server's, which asks the DNS for the name of its own address.
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: str, port: int, answers: Callable[[], MetricsAnswer]) -> None:
        self.answers = answers
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, where = found[0]
        super().__init__(where, _Handler)  # type: ignore[arg-type]  # IPv6 has four parts

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:  # as ``::`` means IPv4 too for the web server
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that went away."""
        _log.debug("a request for metrics was cut off", exc_info=True)


class MetricsServer(threading.Thread):
    """Serves for as long as the process lives, from when the port is free.

    Of several processes that are told the same port one has it; when that ends, another one takes
    it within ``BIND_AGAIN_SECONDS``. ``is_alone`` says that there is no other process of ours.
    """

    def __init__(
        self,
        address: str,
        port: int,
        answers: Callable[[], MetricsAnswer],
        *,
        is_alone: bool = True,
    ) -> None:
        super().__init__(name="metrics", daemon=True)
        self._address, self._port, self._answers = address, port, answers
        self._is_alone = is_alone
        self._ended = threading.Event()
        self._server: _Server | None = None
        self._told = ""

    def run(self) -> None:
        """Take the port, and serve."""
        began = time.monotonic()
        while not self._ended.is_set():
            try:
                server = _Server(self._address, self._port, self._answers)
            except OSError as error:
                self._tell(error, time.monotonic() - began)
                self._ended.wait(BIND_AGAIN_SECONDS)
                continue
            with server:
                self._server = server
                if not self._ended.is_set():
                    server.serve_forever(poll_interval=0.2)
                return

    def stop(self) -> None:
        """End it; for tests."""
        self._ended.set()
        if self._server is not None:
            self._server.shutdown()
        self.join(10)

    def _tell(self, error: OSError, waited: float) -> None:
        """Say once why the port cannot be had; that another process of ours has it is no news."""
        is_used = error.errno == errno.EADDRINUSE
        if str(error) == self._told or (
            is_used and not (self._is_alone and waited > _USED_SECONDS)
        ):
            return
        self._told = str(error)
        _log.warning(
            "metrics cannot be served at port %d of %s: %s. It is tried again; name another port in"
            " PAPERFLEET_METRICS_PORT, or 0 for none",
            self._port,
            self._address,
            error,
        )
