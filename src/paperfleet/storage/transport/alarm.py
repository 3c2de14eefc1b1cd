"""What wakes every exchange of a transport when the program is to end."""

from __future__ import annotations

import contextlib
import os
import time


class Alarm:
    """An event that poll(2) can wait for; ``fd`` is readable once it has been set."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ends_at: float | None = None

    def set(self, seconds: float) -> None:
        """End everything in so many seconds, or as soon as was said before; takes no lock."""
        ends_at = time.monotonic() + seconds
        if self._ends_at is None or ends_at < self._ends_at:
            self._ends_at = ends_at
        with contextlib.suppress(BlockingIOError):  # it has been set for ever
            os.eventfd_write(self.fd, 1)

    def left(self) -> float:
        """Return the seconds until everything has to end; endless while it is not set."""
        return float("inf") if self._ends_at is None else self._ends_at - time.monotonic()

    def __del__(self) -> None:
        os.close(self.fd)
