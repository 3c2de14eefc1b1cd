"""What is at the name that a file is to be saved under: before, and after."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from paperfleet.errors import (
    AlreadyExistsError,
    BusyError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.model import FileStat, Precondition
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.found import FoundFile
    from paperfleet.storage.dav.listing import DavListing


class Target:
    """Looks at targets of saves in one storage."""

    def __init__(self, client: DavClient, listing: DavListing) -> None:
        self._client = client
        self._listing = listing

    def check(self, name: str, expect: Precondition) -> FoundFile | None:
        """Return what is at a name; raise unless that is expected. A folder never is."""
        found = self._listing.look(name, operation="save")
        if found is not None and (expect.exists is False or found.entry.is_folder):
            raise self.taken(name)
        changed = expect.etag is not None and (found is None or found.entry.etag != expect.etag)
        if changed or (expect.exists is True and found is None):
            raise self._client.failure(
                PreconditionFailedError, "it has changed meanwhile", "save", name
            )
        return found

    def taken(self, name: str) -> StorageError:
        """Return the error for a name at which something is already."""
        return self._client.failure(AlreadyExistsError, "the name is taken", "save", name)

    def is_folder(self, name: str) -> bool:
        """Say whether there is a folder of this name."""
        found = self._listing.look(name, operation="save")
        return found is not None and found.entry.is_folder

    def written(self, name: str) -> FileStat:
        """Return what a file is that was just written."""
        with self.after_effect(name):
            found = self._listing.look(name, operation="save")
            if found is None or found.entry.is_folder:
                raise self._client.failure(NotFoundError, "it is gone again", "save", name)
            return found.stat

    @contextlib.contextmanager
    def after_effect(self, name: str) -> Iterator[None]:
        """Make sure that an error after a file was written does not say that nothing happened."""
        try:
            yield
        except StorageError as error:
            kind = BusyError if isinstance(error, BusyError) else UnavailableError
            raise kind(
                f"it was written, and could not be looked at afterwards: {error.reason}",
                operation="save",
                name=name,
                storage=self._client.root.url,
                retry_after=error.retry_after,
            ) from error
