"""What a store's own checksum of an object will be.

The etag of an S3 object that was sent in one request is its MD5; of one that was sent in parts, the
MD5 of the parts' MD5s with their number behind it (Amazon S3 API reference, "Object"). Not so with
encryption by KMS or a customer's key. Some other stores give the MD5 of all to both.
"""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import contextmanager
from queue import Queue
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


PIECE = 1 << 18
"""Bytes that are read, hashed and handed on at a time: as fast as with more, in less memory."""
_AHEAD = 8
"""Pieces that wait for their MD5."""
_MD5 = re.compile(r"[0-9a-f]{32}(-\d+)?")


class Digests:
    """SHA-256 and MD5 of what passed, and the etag that it gives in parts of ``part`` bytes.

    With ``part`` 0 the etag is the MD5 of all.
    """

    def __init__(self, part: int = 0) -> None:
        self.part = part
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._parts: list[bytes] = []
        self._in_part = 0
        self.count = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._take_sha256(data)
        self._take_md5(data)

    @contextmanager
    def beside(self) -> Iterator[Callable[[bytes], None]]:
        """Yield what takes the next bytes, their MD5 in another thread: it takes the longest.

        All that was given is taken when the block ends.
        """
        waiting: Queue[bytes | None] = Queue(_AHEAD)

        def take_all() -> None:
            while (data := waiting.get()) is not None:
                self._take_md5(data)

        def take(data: bytes) -> None:
            waiting.put(data)
            self._take_sha256(data)

        thread = threading.Thread(target=take_all, name="paperfleet-md5")
        thread.start()
        try:
            yield take
        finally:
            waiting.put(None)
            thread.join()

    def _take_sha256(self, data: bytes | memoryview) -> None:
        self._sha256.update(data)
        self.count += len(data)

    def _take_md5(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            room = self.part - self._in_part if self.part else len(rest)
            self._md5.update(rest[:room])
            self._in_part += len(rest[:room])
            rest = rest[room:]
            if self.part and self._in_part == self.part:
                self._end_part()

    def _end_part(self) -> None:
        self._parts.append(self._md5.digest())
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._in_part = 0

    @property
    def sha256(self) -> str:
        """Lower-case hex of all that passed."""
        return self._sha256.hexdigest()

    @property
    def etag(self) -> str:
        """The etag, without quotes, that an S3 store gives to all that passed."""
        if not self.part:
            return self._md5.hexdigest()
        parts = [*self._parts, *([self._md5.digest()] if self._in_part else [])]
        whole = hashlib.md5(b"".join(parts), usedforsecurity=False)
        return f"{whole.hexdigest()}-{len(parts)}"


def digests_of(data: bytes) -> Digests:
    """Return the digests of what is sent in one request."""
    digests = Digests()
    digests.update(data)
    return digests


def digests_to_end(content: IO[bytes], part: int) -> Digests:
    """Read to the end and return the digests, with the etag that parts of so many bytes give."""
    digests = Digests(part)
    with digests.beside() as take:
        for piece in pieces(content):
            take(piece)
    return digests


def pieces(content: IO[bytes]) -> Iterator[bytes]:
    """Yield what is left of the content."""
    while data := content.read(PIECE):
        yield data


def bare(etag: str | None) -> str:
    """Return an etag without its quotes and the mark of a weak one."""
    return (etag or "").removeprefix("W/").strip('"').lower()


def is_md5(etag: str | None) -> bool:
    """Say whether an etag has the form of an MD5, of the whole or of parts."""
    return _MD5.fullmatch(bare(etag)) is not None


MIB = 1 << 20
MOST_PARTS = 9000
"""S3 takes 10,000 parts (Amazon S3 user guide, "Multipart upload limits")."""


def part_size(size: int | None, least: int) -> int:
    """Return the size of parts, in whole MiB above ``least``, for content of so many bytes."""
    fitting = -(-(size or 0) // MOST_PARTS)
    return max(least, -(-fitting // MIB) * MIB)
