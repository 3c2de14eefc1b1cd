"""Reading an object by ranges: what is asked for, and a little ahead."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from paperfleet.errors import (
    CredentialsError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.bucket.client import FoundObject, found_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore import GetResult

    from paperfleet.storage.bucket.client import ObjectClient

FIRST = 1 << 20
"""Bytes that the first request asks for: most documents are whole in one answer."""
NEAR = 1 << 16
"""Bytes that are asked for after a jump, and the buffer in front."""
LARGEST = 8 << 20
"""Bytes of the largest request, reached by reading on."""
_TRIES = 3
_NOTHING = memoryview(b"")


def open_object(client: ObjectClient, key: str, name: str, tries: int = _TRIES) -> IO[bytes]:
    """Return a seekable stream of one state of an object; raise ``NotFoundError``.

    The answer is read as it arrives and closed with the stream. When the object is replaced while
    it is read, what was asked for already is still of the old state, anything further raises
    ``IntegrityError``: two states are never mixed. A cut connection is taken up again.

    An object of less than ``FIRST`` bytes is in memory when this returns.
    """
    try:
        answer = client.get(key, name, 0, FIRST)
    except StorageError as error:
        # A range of an empty object gets 416 (RFC 9110, 15.5.17), from some stores a range that is
        # none (``bytes 0-0/0``): it needs no range, and there is nothing to read.
        told = isinstance(error, NotFoundError | PreconditionFailedError | CredentialsError)
        if told or client.look(key, "open", name).size:
            raise
        return io.BytesIO()
    start, end = answer.range
    if end - start < FIRST:
        try:
            with client.asking("open", name):
                return io.BytesIO(answer.bytes())
        except UnavailableError:
            if tries == 1:
                raise
            return open_object(client, key, name, tries - 1)
    return cast(
        "IO[bytes]",
        io.BufferedReader(_ObjectReader(client, key, name, found_of(answer), answer), NEAR),
    )


class Whole(NamedTuple):
    """One state of an object with all of its bytes; ``data`` None for one that is too large."""

    found: FoundObject
    data: bytes | None


def read_whole(client: ObjectClient, key: str, name: str, operation: str, most: int) -> Whole:
    """Return an object with one request, its bytes up to ``most``; raise ``NotFoundError``."""
    for turn in range(_TRIES):
        try:
            with client.asking(operation, name):
                answer = client.get_all(key)
                found = found_of(answer)
                return Whole(found, bytes(answer.bytes()) if found.size <= most else None)
        except UnavailableError:
            if turn == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _arrivals(answer: GetResult, size: int) -> Iterator[memoryview]:
    """Yield an answer of so many bytes as it arrives; a small one as a whole, with one wait."""
    if size <= FIRST:
        yield memoryview(answer.bytes())
        return
    for piece in answer.stream(min_chunk_size=NEAR):
        yield memoryview(piece)


class _ObjectReader(io.RawIOBase):
    def __init__(
        self, client: ObjectClient, key: str, name: str, found: FoundObject, answer: GetResult
    ) -> None:
        super().__init__()
        self._client = client
        self._key = key
        self._document = name
        self._found = found
        self._at = 0
        self._window = FIRST
        self._begin(answer)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be positioned."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set the position; sends nothing."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._found.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # the stub asks for a type alone
        """Fill the buffer with what arrives next; return how many bytes."""
        target = memoryview(buffer).cast("B")
        if not target or self._at >= self._found.size:
            return 0
        piece = self._piece()
        count = min(len(target), len(piece))
        target[:count] = piece[:count]
        self._at += count
        return count

    def readall(self) -> bytes:
        """Return all that is left."""
        collected = []
        while self._at < self._found.size:
            piece = self._piece()
            collected.append(piece)
            self._at += len(piece)
        return b"".join(collected)

    def close(self) -> None:
        """Close the answer, too."""
        self._end()
        super().close()

    def _piece(self) -> memoryview:
        """Return at least one byte from the position on."""
        for turn in range(_TRIES):
            try:
                return self._arriving()
            except UnavailableError:
                self._end()
                if turn == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _arriving(self) -> memoryview:
        while not 0 <= self._at - self._rest_at < len(self._rest):
            arrived = self._rest_at + len(self._rest)
            far = self._client.ranged and self._at - arrived > NEAR
            if self._pieces is None or self._at < self._rest_at or arrived == self._until or far:
                self._request()
            self._next()
        return self._rest[self._at - self._rest_at :]

    def _request(self) -> None:
        read_on = self._at == self._until
        self._window = min(self._window * 4, LARGEST) if read_on else NEAR
        self._end()
        end = min(self._at + self._window, self._found.size)
        try:
            answer = self._client.get(self._key, self._document, self._at, end, self._found.etag)
        except (PreconditionFailedError, NotFoundError):
            raise self._error(
                IntegrityError, "it was replaced while it was read", "Open it again"
            ) from None
        self._begin(answer)

    def _begin(self, answer: GetResult) -> None:
        start, self._until = answer.range
        self._rest, self._rest_at = _NOTHING, start
        self._pieces: Iterator[memoryview] | None = _arrivals(answer, self._until - start)

    def _end(self) -> None:
        """Close the answer: with its last reference, obstore drops the connection."""
        self._pieces = None
        self._rest, self._rest_at, self._until = _NOTHING, self._at, -1

    def _next(self) -> None:
        with self._client.asking("open", self._document):
            piece = next(self._pieces, _NOTHING) if self._pieces else _NOTHING
        if not piece:
            raise self._error(UnavailableError, "the connection ended before the file did")
        self._rest_at += len(self._rest)
        self._rest = piece

    def _error(self, kind: type[StorageError], reason: str, hint: str = "") -> StorageError:
        label = self._client.label
        return kind(reason, operation="open", name=self._document, storage=label, hint=hint)
