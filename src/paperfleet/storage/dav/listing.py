"""Looking and listing by PROPFIND: one resource, one folder, a whole tree."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from http import HTTPStatus
from typing import TYPE_CHECKING

from paperfleet.errors import (
    FileAccessError,
    NameRefusedError,
    NotAStorageError,
    NotFoundError,
    StorageError,
    UnavailableError,
    is_refusal,
)
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.etags import Etags
from paperfleet.storage.dav.found import FoundFile, refused
from paperfleet.storage.dav.multistatus import PROPERTIES
from paperfleet.storage.dav.propfind import CutTreeError, Propfind
from paperfleet.storage.dav.temporary import is_hidden, is_own, trial_above, why_hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.multistatus import DavEntry

WALKERS = 4
"""Folders that are listed at the same time where the server lists no whole tree."""

MOST_REMEMBERED = 20_000
"""Names of a listing that are remembered, so that one that was cut can go on without naming a file
twice."""

PATIENCE = 2
"""Times that listing a whole tree may fail on the way before it is done folder by folder."""


class DavListing:
    """Reads the tree of one root.

    ``trusted`` says that the server is known to list a whole tree when it says so; any other one
    is checked, as some silently stop at the first level, and one more request finds out once
    whether its etags say anything.
    """

    def __init__(
        self, client: DavClient, *, properties: bytes = PROPERTIES, trusted: bool = False
    ) -> None:
        self._client = client
        self._lists_trees = True
        self._proven = trusted
        self._failures = 0
        self._etags = Etags(trusted=trusted)
        self._propfind = Propfind(client, self._etags, properties)

    @property
    def lists_trees(self) -> bool:
        """Whether the server lists whole trees, as far as is known."""
        return self._lists_trees

    def look(
        self, name: str, *, operation: str, properties: bytes | None = None
    ) -> FoundFile | None:
        """Return what is at a name, with one request; None when nothing is."""
        try:
            found = list(self._propfind.ask(name, "0", operation=operation, properties=properties))
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
        return FoundFile(name, found[0].entry)

    def is_below_file(self, name: str, *, operation: str) -> bool:
        """Say whether the parent of a name is a file.

        Apache answers 400 to anything below, lighttpd 403.
        """
        parent = name.rpartition("/")[0]
        if not parent:
            return False
        found = self.look(parent, operation=operation)
        return found is not None and not found.entry.is_folder

    def children(self, name: str, *, operation: str) -> tuple[FoundFile, list[FoundFile]]:
        """Return a folder and its direct children; raise ``NotFoundError``.

        Temporary ones too, and those that the server tells nothing of.
        """
        itself, below = None, []
        for found in self._propfind.ask(name, "1", operation=operation):
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
        Otherwise ``NotAStorageError``. Raises what the server answered where it refuses to list
        one folder.
        """
        for item in self.survey(prefix):
            if isinstance(item, FileStat):
                yield item
            elif item.refusal is not None:
                raise item.refusal

    def survey(self, prefix: str) -> Iterator[FileStat | Obstacle]:
        """Yield what ``walk`` does, and what it leaves out or stops at, with the reason."""
        for found in self._files(prefix):
            if reason := why_hidden(found.name):
                yield Obstacle(found.name, reason)
            elif found.refusal is not None:
                yield found.obstacle
            else:
                if not self._etags.known:
                    self.try_etag(found)
                    found = FoundFile(found.name, self._etags.cleaned(found.entry))  # noqa: PLW2901  # only the first
                yield found.stat

    def try_etag(self, found: FoundFile) -> bool:
        """Find out with one file whether etags say anything; return False when they do not."""

        def look() -> DavEntry | None:
            try:
                now = self.look(found.name, operation="look")
            except StorageError:
                return None  # a trial breaks no listing; what is wrong is met again by the work
            return None if now is None else now.entry._replace(href=found.entry.href)

        self._etags.try_out(found.entry, look)
        return self._etags.cleaned(found.entry).etag == found.entry.etag

    def tree(self, folder: str) -> Iterator[FoundFile]:
        """Yield a folder and all below it, in any order; raise ``NotFoundError``.

        Own temporary files and folders are left out, and so are names that are not UTF-8. A folder
        that is refused comes twice: as its parent lists it, and with the refusal.
        """
        found_all = self._whole(folder) if self._lists_trees else self._with_itself(folder)
        for found in found_all:
            if not is_hidden(found.name):
                yield found

    def _with_itself(self, folder: str) -> Iterator[FoundFile]:
        itself, below = self.children(folder, operation="list")
        yield itself
        yield from below
        folders = [found.name for found in below if found.entry.is_folder]
        yield from self._stepwise(folders, listed=True)

    def temporaries(self) -> Iterator[str]:
        """Yield the own temporary files that are there, and the folders of trials."""
        seen = set[str]()
        for found in self._files(""):
            name = trial_above(found.name) or found.name
            if found.refusal is None and is_own(name) and name not in seen:
                seen.add(name)
                yield name

    def _files(self, prefix: str) -> Iterator[FoundFile]:
        try:
            for found in self._whole(prefix) if self._lists_trees else self._stepwise([prefix]):
                if not found.entry.is_folder and found.name != prefix:
                    yield found
        except NotFoundError:
            self.check_missing(prefix)
        except (NameRefusedError, FileAccessError):
            if not self._is_file(prefix) and not self.is_below_file(prefix, operation="list"):
                raise

    def _is_file(self, name: str) -> bool:
        found = self.look(name, operation="list")
        return found is not None and not found.entry.is_folder

    def _whole(self, prefix: str) -> Iterator[FoundFile]:
        seen: set[str] = set()
        folders: list[str] = []
        try:
            for found in self._propfind.ask(prefix, "infinity", operation="list"):
                if len(seen) <= MOST_REMEMBERED:
                    seen.add(found.name)
                self._note(found, prefix, folders)
                yield found
        except NotFoundError:
            raise
        except CutTreeError:
            self._lists_trees = False
            if len(seen) > MOST_REMEMBERED:
                raise
            yield from self._rest(prefix, seen)
            return
        except UnavailableError:
            self._failures += 1
            self._lists_trees = self._lists_trees and self._failures < PATIENCE
            raise
        except (FileAccessError, NotAStorageError, NameRefusedError):
            if seen:
                raise
            yield from self._instead(prefix)
            return
        self._failures = 0
        if folders and not self._proven:
            yield from self._suspected(folders)

    def _instead(self, prefix: str) -> Iterator[FoundFile]:
        """List folder by folder where the server refused to list a whole tree.

        One folder that may not be listed can be the reason: then the next tree is tried again.
        """
        hidden = False
        for found in self._stepwise([prefix]):
            hidden = hidden or found.refusal is not None
            yield found
        self._lists_trees = hidden

    def _rest(self, prefix: str, seen: set[str]) -> Iterator[FoundFile]:
        """Go on folder by folder where the server cut the listing of a whole tree."""
        for found in self._stepwise([prefix]):
            if found.name not in seen or found.refusal is not None:
                yield found

    def _note(self, found: FoundFile, prefix: str, folders: list[str]) -> None:
        if self._proven or found.name == prefix:
            return
        below = found.name.removeprefix(prefix + "/") if prefix else found.name
        if "/" in below:
            self._proven = True
            folders.clear()
        elif found.entry.is_folder:
            folders.append(found.name)

    def _suspected(self, folders: list[str]) -> Iterator[FoundFile]:
        for found in self._stepwise(folders, listed=True):
            if found.refusal is not None:
                yield found
            elif found.name not in folders:
                self._lists_trees = False
                yield found

    def _stepwise(self, folders: list[str], *, listed: bool = False) -> Iterator[FoundFile]:
        """Yield some folders and all that is below, by one request for each folder.

        Raises what the server says of these folders themselves. Where a listing showed them
        (``listed``) they are like those below, and do not come again.
        """
        first = [] if listed else folders
        todo, running = deque(folders), set[Future[list[FoundFile]]]()
        with ThreadPoolExecutor(WALKERS, thread_name_prefix="dav-list") as pool:
            try:
                while todo or running:
                    while todo and len(running) < WALKERS:
                        running.add(pool.submit(self._one_level, todo.popleft(), first))
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for level in done:
                        for found in level.result():
                            if found.entry.is_folder and found.name not in first:
                                todo.append(found.name)
                            yield found
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _one_level(self, folder: str, first: list[str]) -> list[FoundFile]:
        try:
            level = self._propfind.ask(folder, "1", operation="list")
            return [found for found in level if folder in first or found.name != folder]
        except NotFoundError:
            if folder in first:
                raise
            return []  # it went away since its parent was listed
        except StorageError as error:
            if folder in first or not is_refusal(error):
                raise
            return [refused(folder, error)]

    def _missing(self, name: str, operation: str) -> NotFoundError:
        return NotFoundError(
            "there is no such folder",
            operation=operation,
            name=name,
            storage=self._client.root.url,
        )

    def check_missing(self, prefix: str) -> None:
        """Tell a root that is not there yet from a wrong address: raise ``NotAStorageError``."""
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
            return self._client.ask(request, accept={207}).status == HTTPStatus.MULTI_STATUS
        except (NotFoundError, NotAStorageError, FileAccessError):
            return False
