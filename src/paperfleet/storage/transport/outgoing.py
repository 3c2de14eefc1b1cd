"""Bodies on their way to libcurl: from memory, or piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pycurl

from paperfleet.storage.transport.exchange import WrongSizeError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRONG = "the body has another size than was announced"


class PostedBody:
    """A body that is in memory as a whole; libcurl reads it there."""

    error: BaseException | None = None

    def __init__(self, easy: pycurl.Curl, content: bytes, announced: int | None) -> None:
        self.length = len(content)
        if announced not in {None, self.length}:
            raise WrongSizeError(_WRONG, sent=False)
        self._easy = easy
        easy.setopt(pycurl.POSTFIELDS, content)

    def let_go(self) -> None:
        """Keep the content no longer than the exchange."""
        self._easy.setopt(pycurl.POSTFIELDS, b"")


class OutgoingBody:
    """A body that is read as it goes out; ``error`` is what went wrong with it.

    One piece is held back until the next is there: a body that is longer than announced is cut off
    before its last piece, as one is that ends too early, and no server takes it for complete.
    """

    def __init__(self, easy: pycurl.Curl, pieces: Iterator[bytes], announced: int | None) -> None:
        if announced is None:
            raise WrongSizeError("the body of a request has no known size", sent=False)
        self.length = announced
        self.error: BaseException | None = None
        self._pieces = pieces
        self._to_read = announced
        self._held = self._rest = b""
        easy.setopt(pycurl.UPLOAD, 1)
        easy.setopt(pycurl.INFILESIZE_LARGE, announced)
        easy.setopt(pycurl.READFUNCTION, self._read)

    def _read(self, size: int) -> bytes | int:
        if not self._rest:
            try:
                self._rest = self._next()
            except BaseException as error:  # noqa: BLE001  # it is raised where the request is sent
                self.error = error
                return pycurl.READFUNC_ABORT
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def _next(self) -> bytes:
        if not self._held:
            self._held = self._from_source()
        given = self._held
        self._held = self._from_source() if given else b""
        return given

    def _from_source(self) -> bytes:
        piece = next((piece for piece in self._pieces if piece), b"")
        self._to_read -= len(piece)
        if self._to_read < 0 or (not piece and self._to_read):
            raise WrongSizeError(_WRONG, sent=True)
        return piece
