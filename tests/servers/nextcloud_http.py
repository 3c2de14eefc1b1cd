"""The HTTP/1.1 side of the Nextcloud double: threads, keep-alive, bodies that may break off.

Own code instead of `http.server`, because the double must stop in the middle of a body, end idle
connections, and see request targets exactly as they were sent.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.servers.base import HOST, STOP_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedIOBase
    from pathlib import Path

BLOCK = 256 * 1024
BODY_TIMEOUT = 30.0
MOST_DRAINED = 64 * 1024 * 1024
APACHE_KEEP_ALIVE = 5.0
APACHE_REQUESTS_PER_CONNECTION = 100


class ClientGoneError(ConnectionError):
    """The client's connection ended before its body did."""


class HangUpError(Exception):
    """The double ends the connection without an answer."""


class BadRequestError(Exception):
    """Not HTTP/1.1 as the double speaks it."""


class Body:
    """The body of a request, read from the connection block by block.

    `length` is None for a body with `Transfer-Encoding: chunked`. When `cut_at` is set the body
    breaks off after that many bytes, as if the client had gone.
    """

    def __init__(
        self, source: BufferedIOBase, length: int | None, proceed: Callable[[], None]
    ) -> None:
        self.length = length
        self.cut_at: int | None = None
        self.received = 0
        self.done = length == 0
        self.started = False
        self._source = source
        self._proceed = proceed

    def __iter__(self) -> Iterator[bytes]:
        self._start()
        blocks = self._chunked() if self.length is None else self._fixed(self.length)
        for block in blocks:
            if self.cut_at is not None and self.received + len(block) >= self.cut_at:
                yield block[: self.cut_at - self.received]
                raise ClientGoneError
            self.received += len(block)
            yield block
        self.done = True

    def read(self) -> bytes:
        """Return the whole body."""
        return b"".join(self)

    def cut_in_half(self) -> None:
        """Let the body break off after its first half (a chunked one: after one byte)."""
        self.cut_at = 1 if self.length is None else self.length // 2

    def drain(self) -> bool:
        """Read and forget the rest; False when that is not worth it."""
        if self.done:
            return True
        if self.started or self.cut_at is not None or (self.length or 0) > MOST_DRAINED:
            return False
        return all(self.received <= MOST_DRAINED for _ in self)

    def _start(self) -> None:
        if not self.started:
            self.started = True
            self._proceed()

    def _fixed(self, length: int) -> Iterator[bytes]:
        left = length
        while left:
            block = self._some(left)
            left -= len(block)
            yield block

    def _chunked(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._fixed(size)
            self._source.readline()
        while self._source.readline() not in {b"\r\n", b"\n", b""}:
            pass

    def _chunk_size(self) -> int:
        line = self._source.readline()
        if not line:
            raise ClientGoneError
        return int(line.split(b";")[0], 16)

    def _some(self, most: int) -> bytes:
        try:
            block = self._source.read1(min(BLOCK, most))
        except OSError as error:
            raise ClientGoneError from error
        if not block:
            raise ClientGoneError
        return block


@dataclass
class Request:
    """A request; `target` is as sent, header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: Body

    @property
    def raw_path(self) -> str:
        """The undecoded path of the target."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """Value of a header, None when it was not sent."""
        return self.headers.get(name.lower())


@dataclass
class Response:
    """An answer, with its content in memory or as `length` bytes of a `file` from `start`."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    file: Path | None = None
    start: int = 0
    length: int = 0
    close: bool = False
    cookies: list[str] = field(default_factory=list)

    def head(self, keep: str) -> bytes:
        """Return the status line and the headers as they go out."""
        phrase = HTTPStatus(self.status).phrase
        lines = [f"HTTP/1.1 {self.status} {phrase}", f"Date: {formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Set-Cookie: {cookie}" for cookie in self.cookies]
        if self.status not in {204, 304}:
            lines.append(f"Content-Length: {self.length if self.file else len(self.content)}")
        lines += [keep, "", ""]
        return "\r\n".join(lines).encode("latin-1")


class _Connection(socketserver.StreamRequestHandler):
    """One client connection: requests one after the other until either side ends it."""

    server: HttpServer
    rbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def handle(self) -> None:
        left = self.server.requests_per_connection
        with contextlib.suppress(ConnectionError, TimeoutError, HangUpError):
            try:
                while left and self._serve_one(left - 1):
                    left -= 1
            except BadRequestError:
                self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    def _serve_one(self, left: int) -> bool:
        self.connection.settimeout(self.server.idle_timeout)
        request = self._read_request()
        if request is None:
            return False
        self.connection.settimeout(BODY_TIMEOUT)
        response = self.server.application(request)
        close = response.close or left == 0 or _wants_close(request)
        self._send(request, response, left, close=close)
        return request.body.drain() and not close

    def _read_request(self) -> Request | None:
        line = self.rfile.readline(65537).decode("latin-1").strip()
        if not line:
            return None
        words = line.split(" ")
        if len(words) != 3:
            raise BadRequestError(line)
        headers = dict(self._read_headers())
        return Request(words[0], words[1], headers, self._body(headers))

    def _read_headers(self) -> Iterator[tuple[str, str]]:
        while line := self.rfile.readline(65537).decode("latin-1").strip("\r\n"):
            name, colon, value = line.partition(":")
            if not colon:
                raise BadRequestError(line)
            yield name.strip().lower(), value.strip()

    def _body(self, headers: dict[str, str]) -> Body:
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = None if chunked else _number(headers.get("content-length", "0"))
        waits = headers.get("expect", "").lower() == "100-continue"
        return Body(self.rfile, length, self._continue if waits else lambda: None)

    def _continue(self) -> None:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _send(self, request: Request, response: Response, left: int, *, close: bool) -> None:
        timeout = f"timeout={self.server.idle_timeout:g}, max={left}"
        keep = "Connection: close" if close else f"Keep-Alive: {timeout}\r\nConnection: Keep-Alive"
        head = response.head(keep)
        if request.method == "HEAD" or response.status in {204, 304}:
            self.wfile.write(head)
        elif response.file is None:
            self.wfile.write(head + response.content)
        else:
            self.wfile.write(head)
            self._send_file(response)

    def _send_file(self, response: Response) -> None:
        assert response.file is not None
        with response.file.open("rb") as source:
            source.seek(response.start)
            left = response.length
            while left and (block := source.read(min(BLOCK, left))):
                self.wfile.write(block)
                left -= len(block)
        if left:
            raise HangUpError


def _number(text: str) -> int:
    if not text.isdecimal():
        raise BadRequestError(text)
    return int(text)


def _wants_close(request: Request) -> bool:
    unheard = request.header("expect") is not None and not request.body.started
    return unheard or (request.header("connection") or "").lower() == "close"


class HttpServer(socketserver.ThreadingTCPServer):
    """A threaded server on loopback that can be stopped and leaves no connection behind."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, application: Callable[[Request], Response], port: int = 0) -> None:
        self.application = application
        self.idle_timeout = APACHE_KEEP_ALIVE
        self.requests_per_connection = APACHE_REQUESTS_PER_CONNECTION
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__((HOST, port), _Connection)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and end every connection."""
        self.shutdown()
        self.server_close()
        self._thread.join(STOP_TIMEOUT)
        with self._open_lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._wait_until_all_closed()

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Note the connection, then serve it in a thread."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """End a connection."""
        super().shutdown_request(request)
        with self._open_lock:
            self._open.discard(request)

    def _wait_until_all_closed(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT
        while self._open and time.monotonic() < deadline:
            time.sleep(0.005)
