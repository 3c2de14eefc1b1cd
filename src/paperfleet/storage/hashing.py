"""Reading a stream while taking its SHA-256."""

from __future__ import annotations

import hashlib
import io
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from paperfleet.model import Upload

CHUNK = 1 << 20
"""Bytes read at a time."""


class HashingReader(io.BufferedIOBase):
    """A forward-only binary stream that hashes and counts what passes.

    Closing it leaves the source open.
    """

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__()
        self._source = source
        self._digest = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to ``size`` bytes; all that is left for a negative size."""
        data = self._source.read(-1 if size is None else size)
        self._digest.update(data)
        self.count += len(data)
        return data

    @property
    def sha256(self) -> str:
        """Lower-case hex of all that was read so far."""
        return self._digest.hexdigest()


def sha256_in(stream: IO[bytes]) -> str:
    """Return the SHA-256 (lower-case hex) of what is left of a stream."""
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def sha256_of(upload: Upload) -> str:
    """Return the SHA-256 (hex) of what is to be saved, by reading it once more."""
    if upload.sha256 is not None:
        return upload.sha256
    with upload.open() as content:
        return sha256_in(content)
