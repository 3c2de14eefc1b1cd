"""A TCP proxy whose connections a test can cut or let fall silent."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from tests.servers.base import HOST, STOP_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIZE = 65536


class TcpProxy:
    """Passes connections to its port on to `target`; `answers` may change what comes back."""

    def __init__(self, target: int, answers: Callable[[bytes], bytes] = bytes) -> None:
        self._target, self._answers = target, answers
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._passing = threading.Event()
        self._passing.set()
        self._accepting = True
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                if self._accepting:
                    self._connect(client)
                else:
                    _reset(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((HOST, self._target), STOP_TIMEOUT)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        self._open += [client, server]
        for source, sink, change in ((client, server, bytes), (server, client, self._answers)):
            work = (source, sink, change)
            threading.Thread(target=self._pump, args=work, name="proxy", daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes]
    ) -> None:
        with contextlib.suppress(OSError):  # cut
            while data := source.recv(_SIZE):
                self._passing.wait()
                sink.sendall(change(data))
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Reset all connections and every new one."""
        self._accepting = False
        opened, self._open = self._open, []
        for one in opened:
            _reset(one)

    def fall_silent(self) -> None:
        """Pass nothing on, as a network without a route; connections stay open."""
        self._passing.clear()

    def heal(self) -> None:
        """Work again; what was held back arrives late."""
        self._accepting = True
        self._passing.set()

    def close(self) -> None:
        """Cut everything and stop listening."""
        self.cut()
        self._passing.set()
        self._listener.close()


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended by itself
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextlib.contextmanager
def tcp_proxy(target: int, answers: Callable[[bytes], bytes] = bytes) -> Iterator[TcpProxy]:
    """Run a proxy in front of a port until the end of the block."""
    proxy = TcpProxy(target, answers)
    try:
        yield proxy
    finally:
        proxy.close()
