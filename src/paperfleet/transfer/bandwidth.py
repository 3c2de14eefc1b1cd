"""A limit on bytes a second, shared by all threads of a migration."""

from __future__ import annotations

import io
import threading
import time
from typing import IO

_PIECE = 64 * 1024


class Bandwidth:
    """Lets through so many bytes a second on average, with at most a second's worth at once."""

    def __init__(self, bytes_per_second: float | None) -> None:
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def limited(self, stream: IO[bytes]) -> IO[bytes]:
        """Return the stream, slowed down where there is a limit."""
        return stream if self._rate is None else io.BufferedReader(_Slow(stream, self), _PIECE)

    def spend(self, count: int) -> None:
        """Wait until so many bytes may pass."""
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 1.0) + count / self._rate
            wait = self._free_at - now
        if wait > 0:
            time.sleep(wait)


class _Slow(io.RawIOBase):
    """Reads in small pieces, each paid for."""

    def __init__(self, stream: IO[bytes], bandwidth: Bandwidth) -> None:
        super().__init__()
        self._stream, self._bandwidth = stream, bandwidth

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # Buffer is Python 3.12's
        data = self._stream.read(min(len(buffer), _PIECE))
        self._bandwidth.spend(len(data))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
