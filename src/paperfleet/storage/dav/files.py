"""Reading a remote file as a stream with seek, by ranged GET (RFC 9110, 14)."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from paperfleet.errors import IntegrityError, PreconditionFailedError
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.multistatus import clean_etag
from paperfleet.storage.dav.transport import error_of_transport
from paperfleet.storage.dav.values import number_of
from paperfleet.storage.transport.exchange import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.model import FileStat
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.transport.exchange import HttpResponse

BUFFER = 128 * 1024
SKIPPED_BY_READING = 256 * 1024
"""A seek forward of up to so many bytes reads on; a longer one asks for a range."""


def open_file(
    client: DavClient,
    path: str,
    stat: FileStat,
    etags_tell: Callable[[], bool] = lambda: True,
) -> io.BufferedReader:
    """Return a stream of one state of a file, that of the first read; nothing is asked for yet.

    ``etags_tell`` finds out, when two answers have other etags, whether that says anything.

    Reading raises ``PreconditionFailedError`` when the file was replaced since the first read and
    another range is needed, ``IntegrityError`` when fewer bytes come than the server announced,
    ``NotFoundError``, ``UnavailableError``.
    """
    return io.BufferedReader(RemoteFile(client, path, stat, etags_tell), BUFFER)


class RemoteFile(io.RawIOBase):
    """The raw stream below ``open_file``: one GET at a time, closed with the file."""

    def __init__(
        self,
        client: DavClient,
        path: str,
        stat: FileStat,
        etags_tell: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self._etags_tell = etags_tell
        self._client = client
        self._request = Request("GET", path, operation="open", name=stat.name)
        self._size = stat.size
        self._etag = stat.etag
        self._position = 0
        self._served = False
        self._response: HttpResponse | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._arrived_to = 0
        self._rest = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be positioned."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move without any request; the next read fetches from there."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # type: ignore[override]  # the typeshed's Buffer has no length
        """Fill the buffer as far as bytes are at hand; 0 at the end."""
        if self._position >= self._size:
            return 0
        self._bring_to_position()
        if self._position >= self._size:
            return 0  # it became shorter before the first read
        data = self._rest or self._next_piece()
        count = min(len(data), len(buffer))
        buffer[:count] = data[:count]
        self._rest = data[count:]
        self._position += count
        self._arrived_to = self._position
        self._served = True
        return count

    def close(self) -> None:
        """End the GET, if one is under way."""
        self._end_response()
        super().close()

    def _bring_to_position(self) -> None:
        ahead = self._position - self._arrived_to
        if self._response is None or not 0 <= ahead <= SKIPPED_BY_READING:
            self._start()
        while (ahead := self._position - self._arrived_to) > 0:
            data = self._rest or self._next_piece()
            skipped = min(len(data), ahead)
            self._rest = data[skipped:]
            self._arrived_to += skipped

    def _start(self) -> None:
        self._end_response()
        headers = {"Accept-Encoding": "identity"}
        if self._position:
            headers["Range"] = f"bytes={self._position}-"
        request = replace(self._request, headers=headers, streamed=True)
        self._response = self._client.start(request, accept={200, 206})
        self._settle_state(self._response)
        self._pieces = self._response.iter_bytes()
        self._arrived_to = self._first_byte(self._response)
        self._rest = b""

    def _settle_state(self, response: HttpResponse) -> None:
        """Take over the state that is served first; refuse another one after that."""
        etag = clean_etag(response.headers.get("etag"))
        size = _whole_size(response)
        resized = size not in {None, self._size}
        other = etag and self._etag and etag != self._etag
        if self._served and (resized or (other and self._etags_tell())):
            self._end_response()
            raise PreconditionFailedError(
                "the file was replaced while it was read",
                operation="open",
                name=self._request.name,
                storage=self._client.root.url,
            )
        self._etag = etag or self._etag
        self._size = self._size if size is None else size

    def _first_byte(self, response: HttpResponse) -> int:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            return 0  # a server without ranges sends all: what is before the position is skipped
        found = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
        first = number_of(found[1]) if found else None
        if first is None or first > self._position:
            raise self._short("the server sent another range than asked for")
        return first

    def _next_piece(self) -> bytes:
        try:
            piece = next(self._pieces, b"")
        except TransportError as error:
            self._end_response()
            raise error_of_transport(
                error, operation="open", name=self._request.name, storage=self._client.root.url
            ) from error
        if not piece:
            raise self._short(f"the file ends after {self._arrived_to} of {self._size} bytes")
        return piece

    def _short(self, reason: str) -> IntegrityError:
        self._end_response()
        return IntegrityError(
            reason,
            operation="open",
            name=self._request.name,
            storage=self._client.root.url,
        )

    def _end_response(self) -> None:
        response, self._response = self._response, None
        self._rest = b""
        if response is not None:
            response.close()


def _whole_size(response: HttpResponse) -> int | None:
    """Return the size of the whole file that an answer tells, None when it does not."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        told = response.headers.get("content-range", "").rpartition("/")[2]
    else:
        packed = "content-encoding" in response.headers
        told = "" if packed else response.headers.get("content-length", "")
    return number_of(told)
