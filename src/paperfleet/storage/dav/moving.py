"""MOVE (RFC 4918, 9.9), and what its ``Destination`` has to look like."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from paperfleet.errors import AlreadyExistsError, LockedError, StorageError
from paperfleet.storage.dav.accepted import wait_if_accepted
from paperfleet.storage.dav.answers import Answer
from paperfleet.storage.dav.client import UNLOCKING, Request
from paperfleet.storage.dav.destinations import Destinations
from paperfleet.storage.dav.multistatus import read_entries
from paperfleet.storage.dav.trials import destination
from paperfleet.storage.namelocks import NameLocks
from paperfleet.storage.names import loose_key

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.listing import DavListing
    from paperfleet.storage.dav.trials import Trials

_MISSING = {403, 404, 409, 500}
"""What servers answer when the source or a parent of the destination is not there: RFC 4918 says
404 and 409, rclone 403, Apache 500. They may mean something else too."""

_ANSWERED = {200, 201, 202, 204, 207, 412} | _MISSING


class DavMover:
    """Sends MOVE requests within one root, in the way that this server understands (``Trials``).

    Where a server replaces what is at the new name although it is told not to, or puts the file
    into a folder of that name, there is a look right before. What somebody else puts there within
    those milliseconds is then replaced. Threads of this process move onto a name one after the
    other: of two such moves at once Apache may say of both that they are done, so that one document
    is lost, or no longer find the file of the other (seen with 2.4.71).
    """

    def __init__(
        self, client: DavClient, listing: DavListing, trials: Trials, *, trusted: bool
    ) -> None:
        self._client = client
        self._listing = listing
        self._trials = trials
        self._destinations = None if trusted else Destinations(client, trials, self._move)
        self._locks = NameLocks()

    def alone_at(self, name: str) -> AbstractContextManager[None]:
        """Let no other thread move anything onto a name meanwhile."""
        return self._locks.holding(loose_key(name))

    def move(
        self,
        old: str,
        new: str,
        *,
        folder: bool = False,
        overwrite: bool = False,
        etag: str | None = None,
    ) -> StorageError | None:
        """Rename ``old`` to ``new``.

        Returns the error to raise when it was refused in a way that a missing source or a missing
        parent of the destination may explain, None when it is done. Raises ``AlreadyExistsError``
        without ``overwrite``, ``PreconditionFailedError`` when the etag does not match (where the
        server looks at it), ``NameRefusedError`` when the server would misread the name.
        """
        spares = self._trials.traits().spares_all
        if self._destinations is not None:
            self._destinations.check(new)
        with self.alone_at(new):
            if not (overwrite or spares) and self._listing.look(new, operation="move") is not None:
                raise self._taken(new)
            return self._move(old, new, folder=folder, overwrite=overwrite, etag=etag)

    def _move(
        self,
        old: str,
        new: str,
        *,
        folder: bool = False,
        overwrite: bool = False,
        etag: str | None = None,
    ) -> StorageError | None:
        root, form = self._client.root, self._trials.traits().form
        headers = {
            "Destination": destination(root, new, form, folder=folder),
            "Overwrite": "T" if overwrite else "F",
        }
        if etag is not None:
            headers["If-Match"] = etag
        here = root.path_of(old, folder=folder)
        request = Request("MOVE", here, operation="move", name=old, headers=headers)
        return self._judge(self._asked(request), request, new)

    def _asked(self, request: Request) -> Answer:
        """Ask, again after a moment when something was in the way that passes by itself."""
        for turn, pause in enumerate(UNLOCKING):
            answer = self._client.ask(request, _ANSWERED)
            if answer.status not in _MISSING:
                return answer
            error = self._client.error(answer, request)
            if not self._client.is_momentary(error, request, turn):
                return answer
            time.sleep(pause)
        return self._client.ask(request, _ANSWERED)

    def _judge(self, answer: Answer, request: Request, new: str) -> StorageError | None:
        if answer.status == HTTPStatus.MULTI_STATUS:
            answer = self._whole(answer, request, new)
        if answer.status in _MISSING:
            return self._refusal(answer, request)
        if answer.status == HTTPStatus.PRECONDITION_FAILED:
            raise self._failed_condition(answer, request, new)
        wait_if_accepted(
            self._client, answer, lambda: self._has_moved(request.name, new), "move", request.name
        )
        return None

    def _has_moved(self, old: str, new: str) -> bool:
        # Both: a server may copy and then delete, so that the new name may be there half done.
        if self._listing.look(old, operation="move") is not None:
            return False
        return self._listing.look(new, operation="move") is not None

    def _refusal(self, answer: Answer, request: Request) -> StorageError:
        error = self._client.error(answer, request)
        if isinstance(error, LockedError):
            raise error
        return error

    def _failed_condition(self, answer: Answer, request: Request, new: str) -> Exception:
        if "If-Match" in request.headers:
            return self._client.error(answer, request)
        return self._taken(new)

    def _taken(self, new: str) -> StorageError:
        reason = "there is something of this name already"
        return self._client.failure(AlreadyExistsError, reason, "move", new)

    def _whole(self, answer: Answer, request: Request, new: str) -> Answer:
        """Return the answer that a multistatus means for all; raise when only a part was moved.

        lighttpd says in this way, too, that nothing was: the only entry is the resource itself.
        """
        root = self._client.root
        entries = list(read_entries([answer.body], storage=root.url))
        if len(entries) == 1 and root.name_of(entries[0].href) in {request.name, new}:
            return Answer(entries[0].status)
        for entry in entries:
            if entry.status >= HTTPStatus.BAD_REQUEST:
                error = self._client.error(Answer(entry.status), request)
                raise StorageError(
                    f"only a part was moved: {error.reason}",
                    operation="move",
                    name=request.name,
                    storage=error.storage,
                )
        return answer
