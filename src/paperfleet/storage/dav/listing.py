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
    StorageError,
    UnavailableError,
)
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.dav.answers import Answer
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.etags import Etags
from paperfleet.storage.dav.multistatus import PROPERTIES, read_entries
from paperfleet.storage.dav.sizes import Sizes
from paperfleet.storage.dav.temporary import is_hidden, is_own, trial_above, why_hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.multistatus import Entry

_SIZE = b"getcontentlength"
Depth = Literal["0", "1", "infinity"]
WALKERS = 4
"""Folders that are listed at the same time where the server lists no whole tree."""

MOST_REMEMBERED = 20_000
"""Names of a listing that are remembered, so that one that was cut can go on without naming a file
twice."""

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
        return FileStat(self.name, entry.size or 0, entry.modified_ns, entry.etag, entry.file_id)


class Listing:
    """Reads the tree of one root.

    ``trusted`` says that the server is known to list a whole tree when it says so; any other one
    is checked, as some silently stop at the first level, and one more request finds out once
    whether its etags say anything.
    """

    def __init__(
        self, client: DavClient, *, properties: bytes = PROPERTIES, trusted: bool = False
    ) -> None:
        self._client = client
        self._properties = properties
        self._lists_trees = True
        self._proven = trusted
        self._failures = 0
        self._sizes = Sizes(client)
        self._etags = Etags(trusted=trusted)

    def look(self, name: str, *, operation: str, properties: bytes | None = None) -> Found | None:
        """Return what is at a name, with one request; None when nothing is."""
        try:
            found = list(self._propfind(name, "0", operation=operation, properties=properties))
        except NotFoundError:
            return None
        except (NameRefusedError, FileAccessError):
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
        """Say whether the parent of a name is a file.

        Apache answers 400 to anything below, lighttpd 403.
        """
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
        return (item for item in self.survey(prefix) if isinstance(item, FileStat))

    def survey(self, prefix: str) -> Iterator[FileStat | Obstacle]:
        """Yield what ``walk`` does, and what it leaves out, with the reason."""
        for found in self._files(prefix):
            if reason := why_hidden(found.name):
                yield Obstacle(found.name, reason)
            else:
                if not self._etags.known:
                    self.try_etag(found)
                    found = Found(found.name, self._etags.cleaned(found.entry))  # noqa: PLW2901  # only the first
                yield found.stat

    def try_etag(self, found: Found) -> bool:
        """Find out with one file whether etags say anything; return False when they do not."""

        def look() -> Entry | None:
            try:
                now = self.look(found.name, operation="look")
            except StorageError:
                return None  # a trial breaks no listing; what is wrong is met again by the work
            return None if now is None else now.entry._replace(href=found.entry.href)

        self._etags.try_out(found.entry, look)
        return self._etags.cleaned(found.entry).etag == found.entry.etag

    def tree(self, folder: str) -> Iterator[Found]:
        """Yield a folder and all below it, in any order; raise ``NotFoundError``.

        Own temporary files and folders are left out, and so are names that are not UTF-8.
        """
        found_all = self._whole(folder) if self._lists_trees else self._with_itself(folder)
        for found in found_all:
            if not is_hidden(found.name):
                yield found

    def _with_itself(self, folder: str) -> Iterator[Found]:
        itself, _ = self.children(folder, operation="list")
        yield itself
        yield from self._stepwise([folder])

    def temporaries(self) -> Iterator[str]:
        """Yield the own temporary files that are there, and the folders of trials."""
        seen = set[str]()
        for found in self._files(""):
            name = trial_above(found.name) or found.name
            if is_own(name) and name not in seen:
                seen.add(name)
                yield name

    def _files(self, prefix: str) -> Iterator[Found]:
        try:
            for found in self._whole(prefix) if self._lists_trees else self._stepwise([prefix]):
                if not found.entry.is_folder and found.name != prefix:
                    yield found
        except NotFoundError:
            self._check_missing(prefix)
        except (NameRefusedError, FileAccessError):
            if not self._is_file(prefix) and not self.is_below_file(prefix, operation="list"):
                raise

    def _is_file(self, name: str) -> bool:
        found = self.look(name, operation="list")
        return found is not None and not found.entry.is_folder

    def _whole(self, prefix: str) -> Iterator[Found]:
        seen: set[str] = set()
        folders: list[str] = []
        try:
            for found in self._propfind(prefix, "infinity", operation="list"):
                if len(seen) <= MOST_REMEMBERED:
                    seen.add(found.name)
                self._note(found, prefix, folders)
                yield found
        except NotFoundError:
            raise
        except UnavailableError:
            if not self._lists_trees and len(seen) <= MOST_REMEMBERED:
                yield from self._rest(prefix, seen)
                return
            self._failures += 1
            self._lists_trees = self._lists_trees and self._failures < PATIENCE
            raise
        except (FileAccessError, NotAStorageError, NameRefusedError):
            if seen:
                raise
            yield from self._stepwise([prefix])
            self._lists_trees = False
            return
        self._failures = 0
        if folders and not self._proven:
            yield from self._suspected(folders)

    def _rest(self, prefix: str, seen: set[str]) -> Iterator[Found]:
        """Go on folder by folder where the server cut the listing of a whole tree."""
        if prefix not in seen:
            yield self.children(prefix, operation="list")[0]
        for found in self._stepwise([prefix]):
            if found.name not in seen:
                yield found

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
        unsized: list[Found] = []
        with self._client.stream(request, accept={207}) as response:
            for entry in read_entries(response.iter_bytes(), storage=self._client.root.url):
                found = Found(self._client.root.name_of(entry.href), self._etags.cleaned(entry))
                if not self._present(found, request):
                    continue
                if entry.size is None and not entry.is_folder and _SIZE in body:
                    unsized.append(found)
                else:
                    yield found
        yield from self._sized(unsized, request)

    def _sized(self, found: list[Found], request: Request) -> Iterator[Found]:
        """Yield files of which the listing tells no size, with it; without those that are gone."""
        names = [one.name or request.name for one in found]
        sizes = self._sizes.ask(names, operation=request.operation)
        for one, size in zip(found, sizes, strict=True):
            if size is not None:
                yield one._replace(entry=one.entry._replace(size=size))
            elif request.headers["Depth"] == "0":
                raise self._missing(request.name, request.operation)

    def _present(self, found: Found, request: Request) -> bool:
        status = found.entry.status
        if status == httpx.codes.NOT_FOUND and found.name != request.name:
            return False
        if status == httpx.codes.INSUFFICIENT_STORAGE:
            raise self._cut(request)
        if status >= 400:
            raise self._client.error(Answer(status), request)
        return True

    def _cut(self, request: Request) -> StorageError:
        """Return what it means that a listing ends with 507 (RFC 5323, 2.3.1; RFC 6578, 3.6)."""
        whole = request.headers["Depth"] == "infinity"
        self._lists_trees = self._lists_trees and not whole
        kind = UnavailableError if whole else NotAStorageError
        return kind(
            f"the server listed only a part of {'the tree' if whole else 'this folder'}",
            operation=request.operation,
            name=request.name,
            storage=self._client.root.url,
            hint="Raise the number of entries that the server lists, or part the folder",
        )

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
