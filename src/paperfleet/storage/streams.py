"""A stream around a stream, for those that add something to what is read."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

from paperfleet.storage.hashing import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable


class ReaderAround(io.BufferedIOBase):
    """Reads a seekable stream, and closes it; ``_at`` is the position of what was given away.

    All that is read passes ``_take``, for subclasses to do more.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self._at = stream.tell()

    def _take(self, read: Callable[[], bytes]) -> bytes:
        data = read()
        self._at += len(data)
        return data

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be positioned."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Set the position."""
        self._at = self._stream.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, or all that is left."""
        return self._take(lambda: self._stream.read(-1 if size is None else size))

    def read1(self, size: int = -1, /) -> bytes:
        """Read what comes first."""
        return self.read(CHUNK if size < 0 else size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line."""
        return self._take(lambda: self._stream.readline(-1 if size is None else size))

    def close(self) -> None:
        """Close the stream too."""
        self._stream.close()
        super().close()
