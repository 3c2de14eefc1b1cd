"""DELETE (RFC 4918, 9.6), which takes a folder with all that is in it: so never without a look."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from paperfleet.errors import FileAccessError, NotFoundError, PreconditionFailedError
from paperfleet.storage.dav.accepted import wait_if_accepted
from paperfleet.storage.dav.client import Request

if TYPE_CHECKING:
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.found import FoundFile
    from paperfleet.storage.dav.listing import DavListing
    from paperfleet.storage.dav.trials import Trials

_GONE = {200, 202, 204}
_IN_PART = 207
"""Something below the folder stays (RFC 4918, 9.6.1), and so does the folder."""


class Remover:
    """Removes files and empty folders below one root.

    Right after the look, on the condition that the etag is still the one that was seen. Where the
    server refuses that although a second look finds nothing changed, this one resource is removed
    without the condition: a server may not know the etags of folders (sabre/dav), or not yet that
    of a file of the last second (Apache). Nothing is concluded for the next one. What somebody else
    does between that look and the request (milliseconds) is not noticed.

    ``folder_conditions`` False says that the server is known to compare the etags of files only:
    folders are then removed after a look, without a condition.
    """

    def __init__(
        self,
        client: DavClient,
        listing: DavListing,
        trials: Trials,
        *,
        folder_conditions: bool = True,
    ) -> None:
        self._client = client
        self._listing = listing
        self._trials = trials
        self._folder_conditions = folder_conditions

    def remove_file(self, found: FoundFile) -> None:
        """Remove a file that was just looked at; raise ``PreconditionFailedError``."""
        path = self._client.root.path_of(found.name)
        if not self._removed(path, found, "delete"):
            raise self._client.failure(
                PreconditionFailedError, "it changed meanwhile", "delete", found.name
            )

    def remove_folder(self, name: str) -> bool:
        """Remove a folder if nothing at all is in it; say whether it is gone. Missing: True.

        Where the server does not list names that begin with a dot, nobody knows, and it stays.
        """
        operation = "remove folder"
        try:
            folder, children = self._listing.children(name, operation=operation)
        except NotFoundError:
            return self._listing.look(name, operation=operation) is None
        # Hidden files may be in a folder that looks empty, and DELETE would take them with it.
        if children or not self._trials.traits().lists_dots:
            return False
        return self._removed(self._client.root.path_of(name, folder=True), folder, operation)

    def _removed(self, path: str, found: FoundFile, operation: str) -> bool:
        """Delete a resource in the state it was found in; False when it is in another one."""
        conditional = self._folder_conditions or not found.entry.is_folder
        etag = found.entry.etag if conditional else None
        if self._deleted(path, found.name, operation, etag):
            return True
        now = self._listing.look(found.name, operation=operation)
        if now is None:
            return True
        if not self._is_same(now, found):
            return False
        return self._deleted(path, found.name, operation, None)

    def _is_same(self, now: FoundFile, before: FoundFile) -> bool:
        """Say whether it is still what was found, also where etags change with each request."""
        if now.entry == before.entry:
            return True
        same = now.entry._replace(etag=None) == before.entry._replace(etag=None)
        return same and not now.entry.is_folder and not self._listing.try_etag(now)

    def _deleted(self, path: str, name: str, operation: str, etag: str | None) -> bool:
        """Delete; False when the condition does not hold."""
        headers = {"If-Match": etag} if etag else {}
        request = Request("DELETE", path, operation=operation, name=name, headers=headers)
        accept = _GONE | {_IN_PART} | ({HTTPStatus.PRECONDITION_FAILED} if etag else set())
        answer = self._client.ask(request, accept)
        if answer.status == _IN_PART:
            reason = "something in it cannot be removed"
            raise self._client.failure(FileAccessError, reason, operation, name)
        if etag and answer.status == HTTPStatus.OK:
            # sabre/dav says 200 of a folder, too, when the condition did not hold.
            return self._listing.look(name, operation=operation) is None
        wait_if_accepted(
            self._client,
            answer,
            lambda: self._listing.look(name, operation=operation) is None,
            operation,
            name,
        )
        return answer.status in _GONE
