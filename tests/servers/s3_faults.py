"""A reverse proxy in front of an S3 server that fails on command and counts bytes."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from tests.servers.base import HOST, server_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from tests.servers.s3 import S3Server

Kind = Literal[
    "answer",
    "reset before",
    "reset after",
    "truncate",
    "damage upload",
    "hang before",
    "hang after",
]
"""What happens, before or after the server has done what was asked."""
_LONGEST_HANG = 120.0
_NOT_PASSED = {"connection", "transfer-encoding", "keep-alive", "server", "date"}


@dataclass
class Fault:
    """What happens to requests of this method whose path or query has this text.

    With ``header`` only to those that have a header of this name. ``left`` is how often, after
    ``spare`` requests were let pass.
    """

    kind: Kind
    method: str = ""
    text: str = ""
    left: int = 1
    spare: int = 0
    status: int = 503
    code: str = "SlowDown"
    more: str = ""
    header: str = ""
    struck: int = 0
    """How often it has happened."""

    def strikes(self, method: str, path: str, headers: Message) -> bool:
        """Say whether this request is struck; counts it."""
        if self.method not in {"", method} or self.text not in unquote(path) or not self.left:
            return False
        if self.header and self.header not in headers:
            return False
        if self.spare:
            self.spare -= 1
            return False
        self.left -= 1
        self.struck += 1
        return True

    @property
    def body(self) -> bytes:
        """The answer that S3 gives with an error."""
        text = f"<Error><Code>{self.code}</Code><Message>a fault</Message>{self.more}</Error>"
        return text.encode() if self.code else b""


class S3Faults:
    """The proxy's switchboard."""

    def __init__(self) -> None:
        self.sent = 0
        self.delay = 0.0
        """Seconds that each request takes longer, as if the server were far away."""
        self.requests: list[tuple[str, str]] = []
        self.hanging = threading.Event()
        """Set as soon as a request hangs."""
        self._healed = threading.Event()
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def fail(self, kind: Kind, method: str = "", text: str = "", **more: Any) -> None:  # noqa: ANN401 (fields of Fault)
        """Set up a fault (see ``Fault``)."""
        with self._lock:
            self._faults.append(Fault(kind, method, text, **more))

    def heal(self) -> None:
        """Forget all faults and counts; what hangs is cut."""
        with self._lock:
            self._healed.set()
            self._healed = threading.Event()
            self.hanging.clear()
            self._faults.clear()
            self.requests.clear()
            self.sent = 0

    def unused(self) -> list[Fault]:
        """Return the faults that no request has met since all was healed."""
        with self._lock:
            return [fault for fault in self._faults if not fault.struck]

    def take(self, method: str, path: str, headers: Message) -> Fault | None:
        """Note a request; return the fault that strikes it."""
        with self._lock:
            self.requests.append((method, unquote(path)))
            return next(
                (fault for fault in self._faults if fault.strikes(method, path, headers)), None
            )

    def hang(self) -> None:
        """Return when all is healed."""
        healed = self._healed
        self.hanging.set()
        healed.wait(_LONGEST_HANG)

    def count(self, number: int) -> None:
        """Count bytes of bodies on their way to the client."""
        with self._lock:
            self.sent += number


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    faults: S3Faults
    upstream: str

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        time.sleep(self.faults.delay)
        fault = self.faults.take(self.command, self.path, self.headers)
        kind = fault.kind if fault else None
        if fault and kind == "answer":
            self._answer(fault.status, {"Content-Type": "application/xml"}, fault.body)
        elif kind in {"reset before", "hang before"}:
            self._cut(hang=kind == "hang before")
        else:
            if kind == "damage upload":
                body = bytes([body[0] ^ 1]) + body[1:]
            self._pass_on(body, kind)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 (the names the base class calls)

    def _pass_on(self, body: bytes, kind: Kind | None) -> None:
        connection = http.client.HTTPConnection(self.upstream, timeout=20)
        with contextlib.closing(connection):
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _NOT_PASSED}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            if kind in {"reset after", "hang after"}:
                answer.read()
                self._cut(hang=kind == "hang after")
                return
            self._relay(answer, kind)

    def _relay(self, answer: http.client.HTTPResponse, kind: Kind | None) -> None:
        told = answer.headers.get("Content-Length")
        # Answers in chunks are passed on as a whole.
        body = answer.read() if told is None else b""
        length = int(told or 0)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _NOT_PASSED:
                self.send_header(name, value)
        if told is None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        left = length // 2 if kind == "truncate" else length
        with contextlib.suppress(OSError):  # the client closed, as it may
            self.wfile.write(body)
            self.faults.count(len(body))
            while self.command != "HEAD" and left and (data := answer.read(min(left, 16384))):
                self.wfile.write(data)
                self.faults.count(len(data))
                left -= len(data)
        if kind == "truncate":
            self._cut()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _cut(self, *, hang: bool = False) -> None:
        self.close_connection = True
        if hang:
            self.faults.hang()
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def s3_faults(server: S3Server, *, host: str = HOST) -> Iterator[tuple[S3Server, S3Faults]]:
    """Yield the server as seen through the proxy, at an address of ``host``; the switchboard."""
    faults = S3Faults()
    upstream = urlsplit(server.endpoint_url).netloc
    handler = type("Handler", (_Handler,), {"faults": faults, "upstream": upstream})
    proxy = ThreadingHTTPServer((host, 0), handler)
    proxy.daemon_threads = True
    with proxy, server_thread(lambda: proxy.serve_forever(0.05), proxy.shutdown, "s3-faults"):
        url = f"http://{host}:{proxy.server_address[1]}"
        yield replace(server, endpoint_url=url, _clients=[]), faults
