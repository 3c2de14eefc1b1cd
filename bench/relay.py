"""A relay between a client and a server that counts requests, for servers that do not."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 256 * 1024
_HOST = "127.0.0.1"


class Relay:
    """Passes bytes on unchanged and counts requests by method. ``url`` is what clients use."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname or _HOST, parts.port or 80)
        self._listener = socket.create_server((_HOST, 0), backlog=64)
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"{_HOST}:{port}").geturl()
        self._methods: Counter[str] = Counter()
        self._answered = 0
        self._lock = threading.Lock()

    def taken(self) -> Counter[str]:
        """Return how many requests of each method came since the last call."""
        with self._lock:
            methods, self._methods = self._methods, Counter()
            return methods

    def answered(self) -> int:
        """Return how many bytes the server sent since the last call, headers included."""
        with self._lock:
            answered, self._answered = self._answered, 0
            return answered

    def serve(self) -> None:
        """Take connections until the relay is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connection, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connection(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
            with suppress(OSError), client.makefile("rb") as stream:
                while self._request(stream, server):
                    pass
            with suppress(OSError):
                server.shutdown(socket.SHUT_WR)
                client.shutdown(socket.SHUT_RD)

    def _request(self, stream: IO[bytes], server: socket.socket) -> bool:
        """Pass one request on; False at the end of the connection."""
        line = stream.readline()
        if not line:
            return False
        with self._lock:
            self._methods[line.split(b" ", 1)[0].decode("ascii")] += 1
        head, length, chunked = [line], 0, False
        while (line := stream.readline()) not in {b"\r\n", b""}:
            head.append(line)
            name, _, value = line.lower().partition(b":")
            length = int(value) if name == b"content-length" else length
            chunked = chunked or (name == b"transfer-encoding" and b"chunked" in value)
        server.sendall(b"".join(head) + b"\r\n")
        if chunked:
            _pass_chunks(stream, server)
        else:
            _pass(stream, server, length)
        return True

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                with self._lock:
                    self._answered += len(block)
                sink.sendall(block)
            sink.shutdown(socket.SHUT_RDWR)


def _pass(stream: IO[bytes], server: socket.socket, length: int) -> None:
    while length > 0 and (block := stream.read(min(_BLOCK, length))):
        server.sendall(block)
        length -= len(block)


def _pass_chunks(stream: IO[bytes], server: socket.socket) -> None:
    size = -1
    while size != 0:
        line = stream.readline()
        size = int(line.split(b";")[0], 16)
        server.sendall(line)
        _pass(stream, server, size + 2 if size else 0)
    while (line := stream.readline()) not in {b"\r\n", b""}:
        server.sendall(line)
    server.sendall(b"\r\n")


@contextmanager
def counted(url: str) -> Iterator[Relay]:
    """Count the requests to a server for the length of the block."""
    relay = Relay(url)
    threading.Thread(target=relay.serve, daemon=True).start()
    try:
        yield relay
    finally:
        relay.close()
