"""One PROPFIND (RFC 4918, 9.1), and what its answer says of each resource."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from paperfleet.errors import NotAStorageError, NotFoundError, StorageError, UnavailableError
from paperfleet.storage.dav.answers import Answer, error_of
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.found import PASSING, FoundFile
from paperfleet.storage.dav.multistatus import read_entries
from paperfleet.storage.dav.sizes import Sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.etags import Etags

_SIZE = b"getcontentlength"
Depth = Literal["0", "1", "infinity"]


class CutTreeError(UnavailableError):
    """The server listed only a part of a tree; folder by folder it may list all."""


class Propfind:
    """Asks a server for resources below one root."""

    def __init__(self, client: DavClient, etags: Etags, properties: bytes) -> None:
        self._client = client
        self._etags = etags
        self._properties = properties
        self._sizes = Sizes(client)

    def ask(
        self, name: str, depth: Depth, *, operation: str, properties: bytes | None = None
    ) -> Iterator[FoundFile]:
        """Yield what is found while the answer arrives; files that need another request at the end.

        What the server tells nothing of has a ``refusal``, other than ``name`` itself: that is
        raised, and so is what passes by itself. A cut listing raises ``CutTreeError`` or
        ``NotAStorageError``.
        """
        body = self._properties if properties is None else properties
        request = Request(
            "PROPFIND",
            self._client.root.path_of(name, folder=depth != "0"),
            operation=operation,
            name=name,
            headers={"Depth": depth, "Content-Type": "application/xml; charset=utf-8"},
            body=lambda: body,
            streamed=depth != "0",
        )
        unsized: list[FoundFile] = []
        with self._client.stream(request, accept={207}) as response:
            for entry in read_entries(response.iter_bytes(), storage=self._client.root.url):
                name = self._client.root.name_of(entry.href)
                found = self._judged(FoundFile(name, self._etags.cleaned(entry)), request)
                sized = entry.size is not None or entry.is_folder or _SIZE not in body
                if sized or found.refusal is not None:
                    yield found
                else:
                    unsized.append(found)
        yield from self._sized(unsized, request)

    def _sized(self, found: list[FoundFile], request: Request) -> Iterator[FoundFile]:
        """Yield files of which the listing tells no size, with it; without those that are gone."""
        names = [one.name or request.name for one in found]
        sizes = self._sizes.ask(names, operation=request.operation)
        for one, size in zip(found, sizes, strict=True):
            if isinstance(size, int):
                yield one._replace(entry=one.entry._replace(size=size))
            elif request.headers["Depth"] == "0":
                raise size or self._client.failure(
                    NotFoundError, "there is no such file", request.operation, request.name
                )
            elif size is not None:
                yield one._replace(refusal=size)

    def _judged(self, found: FoundFile, request: Request) -> FoundFile:
        """Return what a listing says of one resource; raise what means the whole listing."""
        status = found.entry.status
        if status < 400:
            return found
        if status == HTTPStatus.INSUFFICIENT_STORAGE:
            raise self._cut(request)
        alone = request.headers["Depth"] == "0" or found.name == request.name
        if alone or status in PASSING:
            raise self._client.error(Answer(status), request)
        error = error_of(
            Answer(status),
            method=request.method,
            operation=request.operation,
            name=found.name,
            storage=self._client.root.url,
        )
        return found._replace(refusal=error)

    def _cut(self, request: Request) -> StorageError:
        """Return what it means that a listing ends with 507 (RFC 5323, 2.3.1; RFC 6578, 3.6)."""
        whole = request.headers["Depth"] == "infinity"
        kind = CutTreeError if whole else NotAStorageError
        return kind(
            f"the server listed only a part of {'the tree' if whole else 'this folder'}",
            operation=request.operation,
            name=request.name,
            storage=self._client.root.url,
            hint="Raise the number of entries that the server lists, or part the folder",
        )
