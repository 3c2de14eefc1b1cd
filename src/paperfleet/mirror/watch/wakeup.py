"""A sleep that a signal handler or another thread can end."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Wakeup:
    """Sleeps in ``sleep`` until ``wake`` is called, also when that happened before.

    Several calls of ``wake`` end one sleep. There is no lock in it, so a signal handler may call
    ``wake`` whatever the thread that it interrupts is doing.
    """

    def __init__(self) -> None:
        self._asked = False
        self._reader: socket.socket | None = None
        self._writer: socket.socket | None = None

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        for end in (self._writer, self._reader):
            if end is not None:
                end.close()
        self._writer = self._reader = None

    def wake(self) -> None:
        """End the present or the next sleep; may be called at any time, also outside the block."""
        self._asked = True
        writer = self._writer
        if writer is not None:
            try:
                writer.send(b"\0")
            except BlockingIOError:
                return  # full of such bytes: the sleep ends anyway
            except OSError:
                if writer.fileno() != -1:  # otherwise closed meanwhile: nobody sleeps any more
                    raise

    def sleep(self, seconds: float, *others: int, urgent: int | None = None) -> bool:
        """Sleep until woken, until a file descriptor of ``others`` has something, or so long.

        ``urgent`` is one that has something when poll(2) says ``POLLPRI``. Say whether it was
        woken.
        """
        if self._reader is None:
            raise ValueError("sleep outside the with block")
        if not self._asked:
            poll = select.poll()
            for descriptor in (self._reader.fileno(), *others):
                poll.register(descriptor, select.POLLIN)
            if urgent is not None:
                poll.register(urgent, select.POLLPRI)
            poll.poll(max(0.0, seconds) * 1000)
        return self._woken(self._reader)

    def _woken(self, reader: socket.socket) -> bool:
        # The bytes go first: a wake in between then leaves the flag or a byte for the next sleep.
        try:
            while reader.recv(4096):
                pass
        except BlockingIOError:
            pass  # all read
        asked, self._asked = self._asked, False
        return asked
