"""What every WebDAV storage does alike: all but saving (RFC 4918)."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Self

from paperfleet.errors import (
    AlreadyExistsError,
    FileAccessError,
    NameRefusedError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.dav.files import open_file
from paperfleet.storage.dav.folders import Folders
from paperfleet.storage.dav.moving import DavMover
from paperfleet.storage.dav.multistatus import QUOTA_ONLY
from paperfleet.storage.dav.removing import Remover
from paperfleet.storage.dav.temporary import is_own
from paperfleet.storage.dav.trials import NEXTCLOUD, Trials
from paperfleet.storage.names import RESERVED, check_name, check_prefix, is_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from paperfleet.model import FileStat, Obstacle
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.found import FoundFile
    from paperfleet.storage.dav.listing import DavListing
    from paperfleet.storage.dav.urls import DavRoot


class DavTree:
    """The part of ``DocumentStorage`` and its optional protocols that needs no upload.

    Listings show neither own temporary files nor names that are not UTF-8.
    """

    def __init__(
        self,
        client: DavClient,
        listing: DavListing,
        *,
        trusted: bool,
        folder_conditions: bool = True,
    ) -> None:
        self._client = client
        self._listing = listing
        self._folders = Folders(client, listing)
        self._folder_conditions = folder_conditions
        self._trials = Trials(client, listing, self._folders, NEXTCLOUD if trusted else None)
        self._remover = Remover(client, listing, self._trials, folder_conditions=folder_conditions)
        self._mover = DavMover(client, listing, self._trials, trusted=trusted)

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._client.__exit__(exc_type, exc_val, exc_tb)

    @property
    def label(self) -> str:
        """The address of the folder, without user and password."""
        return self._root.url

    @property
    def _root(self) -> DavRoot:
        return self._client.root

    def end_requests(self, within: float) -> None:
        """End what is under way within so many seconds (``SupportsEndRequests``)."""
        self._client.end_requests(within)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"

    def open(self, name: str) -> IO[bytes]:
        """Return a readable, seekable stream; raise ``NotFoundError``.

        Reading asks for ranges as needed, and raises when the file was replaced meanwhile or ends
        too early (``paperfleet.storage.dav.files``).
        """
        name = self._checked(name, "open")
        found = self._found(name, "open")
        return open_file(
            self._client,
            self._root.path_of(name),
            found.stat,
            lambda: self._listing.try_etag(found),
        )

    def exists(self, name: str) -> bool:
        """Say whether there is a file (not a folder) of this name."""
        found = self._listing.look(self._checked(name, "exists"), operation="exists")
        return found is not None and not found.entry.is_folder

    def size(self, name: str) -> int:
        """Return the size in bytes; raise ``NotFoundError``."""
        return self.stat(name).size

    def stat(self, name: str) -> FileStat:
        """Return size, time (exact to the second) and etag; raise ``NotFoundError``."""
        return self._found(self._checked(name, "stat"), "stat").stat

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """Yield every file below a folder in any order, while the answer arrives.

        One request where the server lists whole trees, else one for each folder; one more, once,
        where nothing is known of its etags, and one for each file without a size.
        """
        return self._listing.walk(self._checked_prefix(prefix))

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """Yield every file at or below ``prefix`` and every obstacle (``SupportsSurvey``).

        Obstacles are names that are not UTF-8, those that are kept for unfinished files, and what
        the server lists and tells nothing of: a folder that may not be read, one resource with
        403, 404 or 500 in a listing.
        """
        name = self._checked_prefix(prefix)
        found = self._listing.look(name, operation="list") if name else None
        if found is not None and not found.entry.is_folder:
            yield found.stat
        elif found is not None or not name:
            yield from self._listing.survey(name)

    def list_files(self, prefix: str = "") -> Iterator[str]:
        """Yield the names below a folder, sorted by code point.

        Nothing is asked before the first name is wanted; then the whole listing is read and its
        names are sorted in memory.
        """
        return self._sorted_names(self._checked_prefix(prefix))

    def _sorted_names(self, prefix: str) -> Iterator[str]:
        yield from sorted(stat.name for stat in self._listing.walk(prefix))

    def move(self, old_name: str, new_name: str) -> None:
        """Rename with a look and one MOVE; parents are made when missing.

        Raises ``NotFoundError`` for the old name, ``AlreadyExistsError`` for the new one. After
        ``UnavailableError`` it may have happened: look before trying again.
        """
        old, new = self._checked(old_name, "move"), self._new_name(new_name, "move")
        self._found(old, "move")  # MOVE takes a folder, too
        self._move(old, new)

    def move_folder(self, old_name: str, new_name: str, etag: str | None = None) -> None:
        """Rename a folder with all below it (see ``move``).

        With ``etag`` only in that state, else ``PreconditionFailedError``: by a condition where the
        server compares the etags of folders, else by a look right before, so that what somebody
        puts there within milliseconds moves with it.
        """
        old, new = self._checked(old_name, "move"), self._new_name(new_name, "move")
        if etag is None or not self._folder_conditions:
            self._check_folder(old, etag)
            self._move(old, new, folder=True)
            return
        try:
            self._move(old, new, folder=True, etag=etag)
        except PreconditionFailedError:
            self._check_folder(old, etag)
            if self._listing.look(new, operation="move") is not None:
                raise self._client.failure(
                    AlreadyExistsError, "the name is taken", "move", new
                ) from None
            self._move(old, new, folder=True)

    def _check_folder(self, name: str, etag: str | None) -> None:
        """Raise unless there is a folder, in this state where one is given."""
        found = self._listing.look(name, operation="move")
        if found is None or not found.entry.is_folder:
            raise self._client.failure(NotFoundError, "there is no such folder", "move", name)
        if etag is not None and found.entry.etag != etag:
            raise self._client.failure(
                PreconditionFailedError, "the folder has changed", "move", name
            )

    def _move(self, old: str, new: str, *, folder: bool = False, etag: str | None = None) -> None:
        if old == new:
            raise self._client.failure(
                AlreadyExistsError, "old and new name are the same", "move", new
            )
        self._check_shown(new, lists_dots=self._trials.traits().lists_dots)
        if is_below(new, old):
            raise self._client.failure(
                AlreadyExistsError, "it cannot be moved into itself", "move", old
            )
        refusal = self._tried_move(old, new, folder=folder, etag=etag)
        if refusal is None:
            return
        if self._listing.look(old, operation="move") is None:
            raise self._without_source(refusal, old, new)
        self._folders.make_missing_parents(new)
        refusal = self._tried_move(old, new, folder=folder, etag=etag)
        if refusal is not None:
            raise self._taken_or(refusal, new)

    def _without_source(self, refusal: StorageError, old: str, new: str) -> StorageError:
        """Return what it means that nothing is left of what was to be moved."""
        unclear = isinstance(refusal, UnavailableError)
        if unclear and self._listing.look(new, operation="move") is not None:
            return refusal  # the server failed, perhaps after it had moved it
        return self._client.failure(NotFoundError, "there is nothing of this name", "move", old)

    def _tried_move(
        self,
        old: str,
        new: str,
        *,
        folder: bool = False,
        overwrite: bool = False,
        etag: str | None = None,
    ) -> StorageError | None:
        try:
            return self._mover.move(old, new, folder=folder, overwrite=overwrite, etag=etag)
        except (NameRefusedError, FileAccessError) as error:
            if overwrite:
                raise
            # Apache answers 400 also when a folder is to replace a file.
            raise self._taken_or(error, new) from error

    def _taken_or(self, refusal: StorageError, new: str) -> StorageError:
        """Return what a refusal means: that the name is taken, whatever the server calls it."""
        if self._listing.look(new, operation="move") is None:
            return refusal
        return self._client.failure(AlreadyExistsError, "the name is taken", "move", new)

    def free_bytes(self) -> int | None:
        """Return how many bytes may still be stored (RFC 4331); None where that is not told."""
        found = self._listing.look("", operation="ask for room", properties=QUOTA_ONLY)
        return None if found is None else found.entry.free

    def _check_shown(self, name: str, *, lists_dots: bool) -> None:
        """Raise ``NameRefusedError`` for a name that no listing of this server would show."""
        if not lists_dots and any(segment.startswith(".") for segment in name.split("/")):
            raise self._client.failure(
                NameRefusedError,
                "the server does not list names that begin with a dot",
                "save",
                name,
            )

    def make_folder(self, name: str) -> None:
        """Make a folder and its missing parents; an existing one is fine.

        Raises ``AlreadyExistsError`` when a file is in the way.
        """
        self._folders.make(self._new_name(name, "make folder"))

    def remove_folder(self, name: str) -> bool:
        """Remove a folder if nothing at all is in it; say whether it is gone. Missing: True.

        It is looked into right before; what somebody else puts there within milliseconds goes with
        it, unless the server honours a condition on the etag of the folder. A Nextcloud honours
        none (sabre/dav, ``Server::checkPreconditions``, knows etags of files only): there it goes
        to the trash. Where listings leave out names that begin with a dot, it stays.
        """
        return self._remover.remove_folder(self._checked(name, "remove folder"))

    def delete(self, name: str) -> None:
        """Remove the file after a look at it; raise ``NotFoundError``, also for a folder."""
        name = self._checked(name, "delete")
        self._remover.remove_file(self._found(name, "delete"))

    def _found(self, name: str, operation: str) -> FoundFile:
        found = self._listing.look(name, operation=operation)
        if found is None or found.entry.is_folder:
            raise self._client.failure(NotFoundError, "there is no such file", operation, name)
        return found

    def _checked(self, name: str, operation: str) -> str:
        """Return the name as the server keeps it; raise ``InvalidNameError``."""
        return check_name(name, storage=self.label, operation=operation)

    def _new_name(self, name: str, operation: str) -> str:
        """Return the name as the server will keep it; raise ``NameRefusedError`` if it will not."""
        name = self._checked(name, operation)
        self._root.path_of(name)  # refuses what is not UTF-8
        return name

    def name_fault(self, name: str) -> str:
        """Return why this name would be refused, '' for nothing known (``SupportsChecks``)."""
        if is_own(name):
            return RESERVED
        try:
            name = self._new_name(name, "save")
            self._check_shown(name, lists_dots=self._trials.may_list_dots)
        except StorageError as error:
            return error.reason
        return ""

    def _checked_prefix(self, prefix: str) -> str:
        return check_prefix(prefix, storage=self.label)
