"""HTTP/1.1 to one origin on plain sockets (RFC 9112): an httpx transport that costs little.

Answers are parsed by Python's own ``http.client``. A small PUT takes a little more than half of the
processor time that it takes with httpx's client and connections, which limits a first sync.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

KEEP_IDLE = 30.0
"""Seconds for which an idle connection is kept; proxies and firewalls forget longer ones."""

_PIECE = 128 * 1024
_JOINED = 64 * 1024
"""Bytes of a body that goes out in one piece with its header."""

_MOST_INTERIM = 20
OPTIONS = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
]


class Wire(httpx.BaseTransport):
    """Sends requests to one origin and keeps up to ``connections`` idle connections; thread-safe.

    ``context`` is that of TLS, None for plain HTTP. Raises what ``httpx.HTTPTransport`` raises; an
    exception of a request's body passes through, and the request is cut off. A body needs a
    ``Content-Length``. Tells the extension ``trace`` when it connects and when it begins to send.
    """

    def __init__(
        self, origin: str, *, connections: int, context: ssl.SSLContext | None = None
    ) -> None:
        url = httpx.URL(origin)
        self._host = url.raw_host.decode("ascii")
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._context = context
        self._most_idle = connections
        self._idle: list[tuple[socket.socket, float]] = []
        self._lock = threading.Lock()
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the answer, whose body is still to be read."""
        timeout: Mapping[str, float | None] = request.extensions.get("timeout", {})
        trace: Callable[[str, Mapping[str, Any]], None] = request.extensions.get("trace", _untold)
        connection = self._take()
        if connection is None:
            trace("connection.connect_tcp.started", {})
            connection = self._connect(timeout.get("connect"))
        trace("http11.send_request_headers.started", {})
        try:
            return self._exchange(connection, request, timeout)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close what is idle now, and what is in use when it is given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def give_back(self, connection: socket.socket) -> None:
        """Take a connection that the next request may use."""
        with self._lock:
            if not self._closed and len(self._idle) < self._most_idle:
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()

    def _take(self) -> socket.socket | None:
        """Return an idle connection that the server has not closed, the last used one first."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if time.monotonic() - since < KEEP_IDLE and not _has_something(connection):
                return connection
            connection.close()

    def _connect(self, timeout: float | None) -> socket.socket:
        try:
            connection = socket.create_connection((self._host, self._port), timeout)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        try:
            for option in OPTIONS:
                connection.setsockopt(*option)
            if self._context is None:
                return connection
            return self._context.wrap_socket(connection, server_hostname=self._host)
        except TimeoutError as error:
            connection.close()
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            connection.close()
            raise httpx.ConnectError(str(error)) from error

    def _exchange(
        self,
        connection: socket.socket,
        request: httpx.Request,
        timeout: Mapping[str, float | None],
    ) -> httpx.Response:
        connection.settimeout(timeout.get("write"))
        whole = True
        try:
            _send(connection, request)
        except httpx.WriteError:
            whole = False  # who refuses a body answers, and hangs up before all of it is there
        connection.settimeout(timeout.get("read"))
        answer = _answer(connection, request.method)
        body = _Body(self, connection, answer, reusable=whole)
        headers = [
            (key.encode("latin-1"), value.encode("latin-1"))
            for key, value in answer.headers.items()
        ]
        return httpx.Response(answer.status, headers=headers, stream=body)


class _Body(httpx.SyncByteStream):
    """The body of an answer, while it arrives; gives the connection back when it was read."""

    def __init__(
        self,
        wire: Wire,
        connection: socket.socket,
        answer: http.client.HTTPResponse,
        *,
        reusable: bool,
    ) -> None:
        self._wire = wire
        self._connection: socket.socket | None = connection
        self._answer = answer
        self._left = answer.length
        self._reusable = reusable and not answer.will_close
        self._complete = answer.length == 0

    def __iter__(self) -> Iterator[bytes]:
        while not self._complete:
            piece = self._piece()
            if piece:
                yield piece

    def _piece(self) -> bytes:
        most = _PIECE if self._left is None else min(_PIECE, self._left)
        with _reading():
            piece = self._answer.read1(most)
        if self._left is None:
            self._complete = not piece
        elif not piece:
            raise httpx.RemoteProtocolError("the answer ends too early")
        else:
            self._left -= len(piece)
            self._complete = self._left == 0
        return piece

    def close(self) -> None:
        """Give the connection back, or close it when the answer was not read to its end."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._answer.close()
        if self._complete and self._reusable:
            self._wire.give_back(connection)
        else:
            connection.close()


def _untold(_event: str, _info: Mapping[str, Any]) -> None:
    """Take a trace that nobody wants."""


def _has_something(connection: socket.socket) -> bool:
    """Say whether an idle connection can be read: the server closed it, or sent what is wrong."""
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def _send(connection: socket.socket, request: httpx.Request) -> None:
    """Send a request; raise ``WriteError``, ``WriteTimeout``, ``LocalProtocolError``."""
    waiting, left = _head(request), int(request.headers.get("content-length", "0"))
    for piece in request.stream:  # type: ignore[union-attr]  # of a client it is a synchronous one
        left -= len(piece)
        if left < 0:
            raise httpx.LocalProtocolError("the body is longer than announced")
        if len(waiting) + len(piece) <= _JOINED:
            waiting += piece
            continue
        _send_all(connection, waiting)
        waiting = piece
    if left:
        raise httpx.LocalProtocolError("the body is shorter than announced")
    _send_all(connection, waiting)


def _send_all(connection: socket.socket, data: bytes) -> None:
    """Send bytes; the timeout counts for each part that the network takes, not for all."""
    view = memoryview(data)
    try:
        while view:
            view = view[connection.send(view[:_PIECE]) :]
    except TimeoutError as error:
        raise httpx.WriteTimeout(str(error)) from error
    except OSError as error:
        raise httpx.WriteError(str(error)) from error


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s" % (key, value) for key, value in request.headers.raw]
    for line in lines:
        if b"\r" in line or b"\n" in line or b"\0" in line:
            raise httpx.LocalProtocolError("a line end in a header")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _answer(connection: socket.socket, method: str) -> http.client.HTTPResponse:
    """Read the header of the final answer; raise ``ReadError`` and its like."""
    answer = http.client.HTTPResponse(connection, method=method)
    try:
        with _reading():
            _begin(answer)
    except BaseException:
        answer.close()
        raise
    return answer


def _begin(answer: http.client.HTTPResponse) -> None:
    for _ in range(_MOST_INTERIM):
        answer.begin()
        if answer.status >= httpx.codes.OK:
            return
        # An interim answer (RFC 9110, 15.2), perhaps with the next one behind it in the same
        # buffer, so that the same object has to read on.
        answer.headers = None  # type: ignore[assignment]
    raise http.client.HTTPException("interim answers without end")


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Translate what may happen while an answer is read."""
    try:
        yield
    except TimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except http.client.HTTPException as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except (OSError, ValueError) as error:
        raise httpx.ReadError(str(error)) from error
