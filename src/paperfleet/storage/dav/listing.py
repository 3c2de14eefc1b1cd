"""Looking and listing by PROPFIND: one resource, one folder, a whole tree."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Literal, NamedTuple

import httpx

from paperfleet.errors import (
    FileAccessError,
    NameRefusedError,
    NotAStorageError,
    NotFoundError,
    UnavailableError,
)
from paperfleet.model import FileStat
from paperfleet.storage.dav.answers import Answer
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.multistatus import PROPERTIES, read_entries
from paperfleet.storage.names import TEMPORARY_PREFIX, is_temporary, is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.multistatus import Entry

Depth = Literal["0", "1", "infinity"]
WALKERS = 4
"""Folders that are listed at the same time where the server lists no whole tree."""

PATIENCE = 2
"""Times that listing a whole tree may fail on the way before it is done folder by folder."""


class Found(NamedTuple):
    """A resource below the root; ``name`` is '' for the root itself."""

    name: str
    entry: Entry

    @property
    def stat(self) -> FileStat:
        """What the storage says of this file."""
        entry = self.entry
        return FileStat(self.name, entry.size, entry.modified_ns, entry.etag, entry.file_id)


class Listing:
    """Reads the tree of one root.

    ``trusted`` says that the server is known to list a whole tree when it says so; any other one
    is checked, as some silently stop at the first level.
    """

    def __init__(
        self, client: DavClient, *, properties: bytes = PROPERTIES, trusted: bool = False
    ) -> None:
        self._client = client
        self._properties = properties
        self._lists_trees = True
        self._proven = trusted
        self._failures = 0

    def look(self, name: str, *, operation: str, properties: bytes | None = None) -> Found | None:
        """Return what is at a name, with one request; None when nothing is."""
        try:
            found = list(self._propfind(name, "0", operation=operation, properties=properties))
        except NotFoundError:
            return None
        except NameRefusedError:
            if self.is_below_file(name, operation=operation):
                return None
            raise
        if len(found) != 1:
            raise NotAStorageError(
                f"the server answered with {len(found)} resources where one was asked for",
                operation=operation,
                name=name,
                storage=self._client.root.url,
            )
        return Found(name, found[0].entry)

    def is_below_file(self, name: str, *, operation: str) -> bool:
        """Say whether the parent of a name is a file; Apache answers 400 to anything below."""
        parent = name.rpartition("/")[0]
        if not parent:
            return False
        found = self.look(parent, operation=operation)
        return found is not None and not found.entry.is_folder

    def children(self, name: str, *, operation: str) -> tuple[Found, list[Found]]:
        """Return a folder and its direct children, temporary ones too; raise ``NotFoundError``."""
        itself, below = None, []
        for found in self._propfind(name, "1", operation=operation):
            if found.name == name:
                itself = found
            else:
                below.append(found)
        if itself is None or not itself.entry.is_folder:
            raise self._missing(name, operation)
        return itself, below

    def walk(self, prefix: str) -> Iterator[FileStat]:
        """Yield every file below a folder in any order, while the answer arrives.

        Own temporary files and folders are left out, and so are names that are not UTF-8. A
        missing folder gives nothing; a missing root too, when the folder above it is there.
        Otherwise ``NotAStorageError``.
        """
        for found in self._files(prefix):
            if not _is_hidden(found.name):
                yield found.stat

    def tree(self, folder: str) -> Iterator[Found]:
        """Yield a folder and all below it, in any order; raise ``NotFoundError``.

        Own temporary files and folders are left out, and so are names that are not UTF-8.
        """
        found_all = self._whole(folder) if self._lists_trees else self._with_itself(folder)
        for found in found_all:
            own = any(is_temporary(segment) for segment in found.name.split("/"))
            if not own and is_utf8(found.name):
                yield found

    def _with_itself(self, folder: str) -> Iterator[Found]:
        itself, _ = self.children(folder, operation="list")
        yield itself
        yield from self._stepwise([folder])

    def temporaries(self) -> Iterator[FileStat]:
        """Yield the own temporary files that are there."""
        for found in self._files(""):
            if is_temporary(found.name):
                yield found.stat

    def _files(self, prefix: str) -> Iterator[Found]:
        try:
            for found in self._whole(prefix) if self._lists_trees else self._stepwise([prefix]):
                if not found.entry.is_folder and found.name != prefix:
                    yield found
        except NotFoundError:
            self._check_missing(prefix)
        except NameRefusedError:
            if not self._is_file(prefix) and not self.is_below_file(prefix, operation="list"):
                raise

    def _is_file(self, name: str) -> bool:
        found = self.look(name, operation="list")
        return found is not None and not found.entry.is_folder

    def _whole(self, prefix: str) -> Iterator[Found]:
        started = False
        folders: list[str] = []
        try:
            for found in self._propfind(prefix, "infinity", operation="list"):
                started = True
                self._note(found, prefix, folders)
                yield found
        except NotFoundError:
            raise
        except UnavailableError:
            self._failures += 1
            self._lists_trees = self._failures < PATIENCE
            raise
        except (FileAccessError, NotAStorageError, NameRefusedError):
            if started:
                raise
            yield from self._stepwise([prefix])
            self._lists_trees = False
            return
        self._failures = 0
        if folders and not self._proven:
            yield from self._suspected(folders)

    def _note(self, found: Found, prefix: str, folders: list[str]) -> None:
        if self._proven or found.name == prefix:
            return
        below = found.name.removeprefix(prefix + "/") if prefix else found.name
        if "/" in below:
            self._proven = True
            folders.clear()
        elif found.entry.is_folder:
            folders.append(found.name)

    def _suspected(self, folders: list[str]) -> Iterator[Found]:
        for found in self._stepwise(folders):
            if found.name not in folders:
                self._lists_trees = False
                yield found

    def _stepwise(self, folders: list[str]) -> Iterator[Found]:
        """Yield all that is below some folders, by one request for each folder."""
        todo, running = deque(folders), set[Future[list[Found]]]()
        with ThreadPoolExecutor(WALKERS, thread_name_prefix="dav-list") as pool:
            try:
                while todo or running:
                    while todo and len(running) < WALKERS:
                        running.add(pool.submit(self._one_level, todo.popleft(), folders))
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for level in done:
                        for found in level.result():
                            if found.entry.is_folder:
                                todo.append(found.name)
                            yield found
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _one_level(self, folder: str, first: list[str]) -> list[Found]:
        try:
            return [f for f in self._propfind(folder, "1", operation="list") if f.name != folder]
        except NotFoundError:
            if folder in first:
                raise
            return []  # it went away since its parent was listed

    def _propfind(
        self, name: str, depth: Depth, *, operation: str, properties: bytes | None = None
    ) -> Iterator[Found]:
        body = self._properties if properties is None else properties
        request = Request(
            "PROPFIND",
            self._client.root.path_of(name, folder=depth != "0"),
            operation=operation,
            name=name,
            headers={"Depth": depth, "Content-Type": "application/xml; charset=utf-8"},
            body=lambda: body,
        )
        with self._client.stream(request, accept={207}) as response:
            for entry in read_entries(response.iter_bytes(), storage=self._client.root.url):
                found = Found(self._client.root.name_of(entry.href), entry)
                if self._present(found, request):
                    yield found

    def _present(self, found: Found, request: Request) -> bool:
        status = found.entry.status
        if status == httpx.codes.NOT_FOUND and found.name != request.name:
            return False
        if status >= 400:
            raise self._client.error(Answer(status), request)
        return True

    def _missing(self, name: str, operation: str) -> NotFoundError:
        return NotFoundError(
            "there is no such folder",
            operation=operation,
            name=name,
            storage=self._client.root.url,
        )

    def _check_missing(self, prefix: str) -> None:
        """Tell a root that is not there yet from an address that is wrong."""
        root = self._client.root
        above = root.parent()
        if prefix and self.look("", operation="list") is not None:
            return
        if above is None or not self._is_dav(above.path):
            raise NotAStorageError(
                "there is no WebDAV folder at this address",
                storage=root.url,
                hint="Check the address; only its last folder is made when it is missing",
            )

    def _is_dav(self, path: str) -> bool:
        request = Request("PROPFIND", path, operation="look", headers={"Depth": "0"})
        try:
            return self._client.ask(request, accept={207}).status == httpx.codes.MULTI_STATUS
        except (NotFoundError, NotAStorageError, FileAccessError):
            return False


def _is_hidden(name: str) -> bool:
    """Say whether a name is not for others: of our own, below one of our own, or not text."""
    if TEMPORARY_PREFIX in name and any(is_temporary(segment) for segment in name.split("/")):
        return True
    return not (name.isascii() or is_utf8(name))
