"""A server that sends the very bytes that a test gives, whether they are HTTP or not."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING

from tests.servers.base import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator


class RawServer:
    """Answers each request with ``answer`` and closes the connection; counts the requests."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests = 0
        self._listener = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}/dav/"
        threading.Thread(target=self._accept, name="raw", daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the client may cut
            connection.settimeout(5)
            received = b""
            while b"\r\n\r\n" not in received and (data := connection.recv(65536)):
                received += data
            head, _, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            left = int(length[1]) - len(body) if length else 0
            while left > 0 and (data := connection.recv(65536)):
                left -= len(data)
            self.requests += 1
            connection.sendall(self.answer)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


@contextlib.contextmanager
def raw_server(answer: bytes) -> Iterator[RawServer]:
    """Serve until the block ends."""
    server = RawServer(answer)
    try:
        yield server
    finally:
        server.close()
