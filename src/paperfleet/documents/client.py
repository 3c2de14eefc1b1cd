"""Requests to paperless-ngx: one pool, the token with each of them, errors of this package only."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlencode

from paperfleet.errors import (
    BusyError,
    CredentialsError,
    FileAccessError,
    NotAStorageError,
    NotFoundError,
    StorageError,
    ThrottledError,
    UnavailableError,
)
from paperfleet.storage.dav.transport import error_of_transport, open_transport
from paperfleet.storage.transport.exchange import HttpRequest, TransportError
from paperfleet.storage.transport.pool import HttpPool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.documents.address import ServerAddress
    from paperfleet.secret import Secret
    from paperfleet.storage.transport.exchange import HttpResponse, Transport

API_VERSION = 9
"""The version of the API that paperless-ngx 2.20 and 3.0 both speak."""
MOST_BODY = 256 << 20
"""Bytes of an answer in JSON that are taken: a list of 100,000 documents is far below it."""
_MOST_REFUSAL = 64 * 1024

_MEANINGS: dict[int, tuple[type[StorageError], str, str]] = {
    401: (
        CredentialsError,
        "paperless-ngx does not take the token",
        "Make one at 'My Profile' of paperless-ngx, and set PAPERFLEET_PAPERLESS_TOKEN_FILE",
    ),
    403: (
        FileAccessError,
        "the user of the token may not read this",
        "Give that user the permission to view it, in paperless-ngx",
    ),
    404: (NotFoundError, "there is no such thing", ""),
    406: (
        NotAStorageError,
        f"it does not speak version {API_VERSION} of its API",
        "See docs/reference/tested-versions.md",
    ),
    429: (ThrottledError, "it asks for fewer requests", ""),
}


class Connection(NamedTuple):
    """How paperless-ngx is reached; as the options of the same name of a WebDAV server."""

    verify: bool | str = True
    certificate: str | None = None
    timeout: float = 60.0
    lowest_rate: float = 1000.0
    connections: int = 8


class PaperlessClient:
    """Sends GET requests to one paperless-ngx; safe in many threads.

    ``with`` blocks nest and may be open in many threads; the outermost one opens the pool.
    """

    def __init__(
        self,
        address: ServerAddress,
        token: Secret,
        connection: Connection,
        *,
        transport: Transport | None = None,
    ) -> None:
        self.address = address
        self._token = token
        opened = partial(open_transport, address.origin, **connection._asdict())
        self._pool = HttpPool(opened, transport)

    def __enter__(self) -> Self:
        self._pool.enter()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.leave()

    def end_requests(self, within: float) -> None:
        """End what is under way within so many seconds, and what comes later at once.

        Takes no lock: safe in a signal handler.
        """
        self._pool.end_within(within)

    def json(self, path: str, **query: object) -> Any:  # noqa: ANN401  # whatever JSON holds
        """Return what ``/api/<path>`` answers.

        Raises ``NotFoundError`` and ``FileAccessError`` where paperless-ngx itself says so, and
        another ``StorageError`` for all else; a page for people is no answer.
        """
        try:
            with closing(self._start(path, query, packed=True)) as response:
                body = _body(response, MOST_BODY)
        except TransportError as error:
            raise error_of_transport(
                error, operation="ask", name=path, storage=self.address.url
            ) from error
        try:
            return json.loads(body)
        except ValueError:
            raise self._not_here(path) from None

    def head(self, path: str, **query: object) -> Mapping[str, str]:
        """Return the headers of an answer, whose names are in lower case; raises as ``json``."""
        try:
            with closing(self._start(path, query, packed=False, method="HEAD")) as response:
                return response.headers
        except TransportError as error:
            raise error_of_transport(
                error, operation="ask", name=path, storage=self.address.url
            ) from error

    def download(self, path: str, into: IO[bytes], **query: object) -> None:
        """Write the bytes that ``/api/<path>`` answers into a stream; raises as ``json``."""
        try:
            with closing(self._start(path, query, packed=False, streamed=True)) as response:
                for piece in response.iter_bytes():
                    into.write(piece)
        except TransportError as error:
            raise error_of_transport(
                error, operation="read", name=path, storage=self.address.url
            ) from error

    def _start(
        self,
        path: str,
        query: Mapping[str, object],
        *,
        packed: bool,
        method: str = "GET",
        streamed: bool = False,
    ) -> HttpResponse:
        transport = self._pool.transport
        asked = f"?{urlencode(query)}" if query else ""
        headers = {
            "User-Agent": "paperfleet",
            "Accept": f"application/json; version={API_VERSION}" if packed else "*/*",
            "Accept-Encoding": "gzip" if packed else "identity",
            "Authorization": f"Token {self._token.reveal()}",
            "Cache-Control": "no-cache",
        }
        request = HttpRequest(
            method,
            f"{self.address.url}/api/{path}{asked}",
            headers,
            repeatable=True,
            streamed=streamed,
        )
        response = transport.send(request)
        if response.status != HTTPStatus.OK:
            with closing(response):
                raise self._refused(response, path)
        return response

    def _refused(self, response: HttpResponse, path: str) -> StorageError:
        status, hint = response.status, ""
        kind: type[StorageError]
        if status in {403, 404} and not _says_detail(response):
            return self._not_here(path)
        if status in _MEANINGS:
            kind, reason, hint = _MEANINGS[status]
        elif status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return self._failed_at(path)
        elif status > HTTPStatus.INTERNAL_SERVER_ERROR:
            kind, reason = UnavailableError, "the server failed"
        elif status >= HTTPStatus.BAD_REQUEST:
            kind, reason = StorageError, "the server refused"
        else:
            kind, reason = NotAStorageError, "the server leads elsewhere"
            hint = "Use the address that it leads to; the token is not sent there"
        return kind(
            f"{reason} (HTTP {status})",
            operation="ask",
            name=path,
            storage=self.address.url,
            hint=hint,
        )

    def _failed_at(self, path: str) -> BusyError:
        """Return what an error of paperless-ngx itself means: it may fail at one document alone."""
        error = BusyError(
            "paperless-ngx failed at this (HTTP 500)",
            operation="ask",
            name=path,
            storage=self.address.url,
            hint="Its log says why",
        )
        error.at_work = False
        return error

    def _not_here(self, path: str) -> NotAStorageError:
        return NotAStorageError(
            "no paperless-ngx answers at this address",
            operation="ask",
            name=path,
            storage=self.address.url,
            hint="Give the address at which a browser opens it; a login page before it must let"
            " /api/ pass",
        )


def _says_detail(response: HttpResponse) -> bool:
    """Say whether an answer is one of paperless-ngx, and not of a proxy before it.

    Django REST framework gives a reason as JSON; views of paperless-ngx that check the permission
    themselves say so in plain words (``HttpResponseForbidden("Insufficient permissions")``).
    """
    try:
        body = _body(response, _MOST_REFUSAL)
        return body == b"Insufficient permissions" or "detail" in json.loads(body)
    except (TransportError, ValueError, TypeError):
        return False


def _body(response: HttpResponse, most: int) -> bytes:
    pieces, size = [], 0
    for piece in response.iter_bytes():
        size += len(piece)
        if size > most:
            raise NotAStorageError(f"the answer is longer than {most:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)
