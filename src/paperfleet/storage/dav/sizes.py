"""The size of a file where the listing does not tell it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from paperfleet.errors import FileAccessError, NotFoundError
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.values import number_of
from paperfleet.storage.names import is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.storage.dav.client import DavClient


AT_ONCE = 4
"""Requests at the same time."""


class Sizes:
    """Asks for sizes."""

    def __init__(self, client: DavClient) -> None:
        self._client = client

    def ask(
        self, names: Sequence[str], *, operation: str
    ) -> Iterator[int | FileAccessError | None]:
        """Yield the size in bytes of each file, None of those that are gone.

        The error of those that may not be read. A name that is not UTF-8 cannot be asked for and
        has 0.
        """
        if len(names) == 1:
            yield self._size(names[0], operation)
        elif names:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="dav-size") as pool:
                yield from pool.map(lambda name: self._size(name, operation), names)

    def _size(self, name: str, operation: str) -> int | FileAccessError | None:
        if not is_utf8(name):
            return 0
        try:
            return self._headed(name, operation) or self._counted(name, operation)
        except NotFoundError:
            return None
        except FileAccessError as error:
            return error

    def _headed(self, name: str, operation: str) -> int | None:
        """Return what HEAD tells (RFC 9110, 9.3.2)."""
        request = self._request("HEAD", name, operation)
        answer = self._client.ask(request, {200, 204, 405, 501})
        return number_of(answer.headers.get("content-length")) if answer.is_done else None

    def _counted(self, name: str, operation: str) -> int:
        """Read the file: some servers tell no length before they have sent all, or 0 for HEAD."""
        with self._client.stream(self._request("GET", name, operation), {200, 204}) as response:
            return sum(len(piece) for piece in response.iter_bytes())

    def _request(self, method: str, name: str, operation: str) -> Request:
        path = self._client.root.path_of(name)
        headers = {"Accept-Encoding": "identity"}
        return Request(method, path, operation=operation, name=name, headers=headers)
