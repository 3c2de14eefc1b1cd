"""Making folders, alone and on the way to a file (RFC 4918, 9.3)."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from paperfleet.errors import (
    AlreadyExistsError,
    FileAccessError,
    NameRefusedError,
    NotAStorageError,
    NotFoundError,
)
from paperfleet.storage.dav.accepted import wait_if_accepted
from paperfleet.storage.dav.client import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.listing import DavListing

Result = TypeVar("Result")
OPERATION = "make folder"
_RACE = 0.1
"""Seconds to wait for somebody else who works on the same folders."""

_NO_PARENT = {404, 409}
_PERHAPS_MADE = {400, 403, 405, 500}
"""What servers answer to MKCOL of something that is there: RFC 4918 says 405. Apache says 400 below
a file, and 403 when somebody else makes the same folder at this moment, WsgiDAV 500."""


class Folders:
    """Makes folders below one root, and the root itself when only it is missing."""

    def __init__(self, client: DavClient, listing: DavListing) -> None:
        self._client = client
        self._listing = listing

    def make(self, name: str) -> None:
        """Make a folder and its missing parents; an existing one is fine.

        Raises ``AlreadyExistsError`` when a file is in the way.
        """
        if self._made(name):
            return
        self._make_parents(name)
        if not self._made(name):
            raise self._client.failure(NotFoundError, "its parent vanished", OPERATION, name)

    def with_parents(self, name: str, action: Callable[[], Result]) -> Result:
        """Do something that needs the parents of a name; make them when they are missing.

        Tried three times, as others may be making or removing the same folders.
        """
        for pause in (0.0, _RACE):
            try:
                return action()
            except (NotFoundError, NameRefusedError, FileAccessError) as error:
                made = self.make_missing_parents(name)
                if not made and not isinstance(error, NotFoundError):
                    raise
                time.sleep(pause)
        return action()

    def lack_parent(self, name: str) -> bool:
        """Say whether there is no folder that a name could be in."""
        return not self._is_folder(name.rpartition("/")[0])

    def make_missing_parents(self, name: str) -> bool:
        """Make the parents of a name; False when they are there already.

        Raises ``AlreadyExistsError`` when one of them is a file.
        """
        parent = name.rpartition("/")[0]
        found = self._listing.look(parent, operation=OPERATION)
        if found is None:
            self._make_parents(name)
        elif not found.entry.is_folder:
            raise self._in_the_way(parent)
        return found is None

    def _make_parents(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        if parent:
            self.make(parent)
        else:
            self._make_root()

    def _make_root(self) -> None:
        root = self._client.root
        request = Request("MKCOL", root.path, operation=OPERATION)
        answer = self._client.ask(request, accept={200, 201, 202, 405} | _NO_PARENT)
        wait_if_accepted(self._client, answer, lambda: self._is_folder(""), OPERATION, "")
        if answer.status in _NO_PARENT:
            raise NotAStorageError(
                "neither this folder nor the one above it is there",
                storage=root.url,
                hint="Check the address; only its last folder is made when it is missing",
            )

    def _made(self, name: str) -> bool:
        """Make one folder; False when its parent is missing."""
        path = self._client.root.path_of(name, folder=True)
        request = Request("MKCOL", path, operation=OPERATION, name=name)
        answer = self._client.ask(request, accept={200, 201, 202} | _NO_PARENT | _PERHAPS_MADE)
        wait_if_accepted(self._client, answer, lambda: self._is_folder(name), OPERATION, name)
        if answer.status not in _PERHAPS_MADE:
            return answer.is_done
        found = self._listing.look(name, operation=OPERATION)
        if found is not None and found.entry.is_folder:
            return True
        if found is not None or self._listing.is_below_file(name, operation=OPERATION):
            raise self._in_the_way(name)
        if answer.status != HTTPStatus.METHOD_NOT_ALLOWED:
            raise self._client.error(answer, request)
        return False  # it was there, and somebody removed it since

    def _is_folder(self, name: str) -> bool:
        found = self._listing.look(name, operation=OPERATION)
        return found is not None and found.entry.is_folder

    def _in_the_way(self, name: str) -> Exception:
        return self._client.failure(AlreadyExistsError, "a file is in the way", OPERATION, name)
