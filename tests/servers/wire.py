"""Servers that do one thing to a connection, byte by byte: what a test says, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

from tests.servers.base import HOST

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

PATIENCE = 20.0
"""Seconds after which a server gives up a client that does nothing."""


class WireServer:
    """Hands each connection with its number to ``serve``; ``heads`` are the requests it read."""

    def __init__(
        self,
        serve: Callable[[Wire, int], object],
        context: ssl.SSLContext | None = None,
        *,
        receive_buffer: int = 0,
    ) -> None:
        self._serve, self._context = serve, context
        self._listener = socket.create_server((HOST, 0), backlog=100)
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.port: int = self._listener.getsockname()[1]
        self.heads: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()
        self.left = threading.Event()
        """Set whenever the server has closed a connection."""
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, name="wire", daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                number, self.connections = self.connections, self.connections + 1
                thread = threading.Thread(target=self._one, args=(connection, number), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _one(self, connection: socket.socket, number: int) -> None:
        connection.settimeout(PATIENCE)
        with contextlib.suppress(OSError):  # what a client does to us is its affair
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                self._serve(Wire(self, connection), number)
        connection.close()
        self.left.set()

    def close(self) -> None:
        """Stop listening, and wait for those that serve."""
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        for thread in self._threads:
            thread.join(5)


class Wire:
    """One connection, as its server sees it."""

    def __init__(self, server: WireServer, connection: socket.socket) -> None:
        self._server = server
        self.socket = connection
        self._read = b""

    def head(self) -> bytes:
        """Read a request up to its empty line; b'' when the client has gone."""
        while b"\r\n\r\n" not in self._read:
            piece = self.socket.recv(65536)
            if not piece:
                return b""
            self._read += piece
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        self._server.heads.append(head)
        return head

    def request(self) -> bytes:
        """Read a whole request, its body by its length; b'' when the client has gone."""
        head = self.head()
        if not head:
            return b""
        lines = head.lower().split(b"\r\n")
        lengths = [line for line in lines if line.startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(self._read) < length and (piece := self.socket.recv(65536)):
            self._read += piece
        body, self._read = self._read[:length], self._read[length:]
        return head + b"\r\n\r\n" + body

    def send(self, data: bytes) -> None:
        """Send."""
        self.socket.sendall(data)

    def drip(self, data: bytes, pause: float) -> None:
        """Send ``data`` byte by byte for ever, with a pause in seconds before each, until cut."""
        while not self._server.closing.wait(pause):
            for at in range(len(data)):
                if self._server.closing.wait(pause):
                    return
                self.send(data[at : at + 1])

    def sip(self, size: int, pause: float) -> None:
        """Take ``size`` bytes at a time, with a pause in seconds before each, until none come."""
        while not self._server.closing.wait(pause) and self.socket.recv(size):
            pass

    def wait(self) -> None:
        """Do nothing until the client has gone or the test has ended."""
        self.socket.settimeout(0.1)
        while not self._server.closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.socket.recv(65536):
                    return

    def reset(self) -> None:
        """Close with RST in the place of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@contextlib.contextmanager
def wire_server(
    serve: Callable[[Wire, int], object],
    context: ssl.SSLContext | None = None,
    *,
    receive_buffer: int = 0,
) -> Iterator[WireServer]:
    """Serve until the block ends."""
    server = WireServer(serve, context, receive_buffer=receive_buffer)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """Yield a port at which connections are neither taken nor refused: the queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # the standard library's signature
            with contextlib.suppress(BlockingIOError):
                waiting.connect((HOST, port))
        yield port
