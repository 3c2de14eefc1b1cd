"""MOVE (RFC 4918, 9.9), and what its ``Destination`` has to look like."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from paperfleet.errors import AlreadyExistsError, LockedError, StorageError
from paperfleet.storage.dav.answers import Answer
from paperfleet.storage.dav.client import UNLOCKING, Request
from paperfleet.storage.dav.destinations import Destinations
from paperfleet.storage.dav.multistatus import read_entries

if TYPE_CHECKING:
    from collections.abc import Collection

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.listing import Listing

_UNDERSTOOD_OTHERWISE = {400, 502}
_MISSING = {403, 404, 409, 500}
"""What servers answer when the source or a parent of the destination is not there: RFC 4918 says
404 and 409, rclone 403, Apache 500. They may mean something else too."""

_ANSWERED = {201, 204, 207, 412} | _MISSING


class Mover:
    """Sends MOVE requests within one root.

    RFC 4918 takes an absolute URL or an absolute path as destination. Apache wants the URL; behind
    a proxy that ends TLS, servers compare its scheme with their own and refuse it. So the URL comes
    first, and the path when the very first MOVE was refused in that way. ``trusted`` says that the
    server is known to take paths, and every name.
    """

    def __init__(self, client: DavClient, listing: Listing, *, trusted: bool) -> None:
        self._client = client
        self._as_path = trusted
        self._settled = trusted
        self._destinations = None if trusted else Destinations(client, listing, self._move)

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
        if self._destinations is not None:
            self._destinations.check(new)
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
        root = self._client.root
        there = root.path_of(new, folder=folder)
        headers = {
            "Destination": there if self._as_path else root.origin + there,
            "Overwrite": "T" if overwrite else "F",
        }
        if etag is not None:
            headers["If-Match"] = etag
        here = root.path_of(old, folder=folder)
        request = Request("MOVE", here, operation="move", name=old, headers=headers)
        accept = _ANSWERED if self._settled else _ANSWERED | _UNDERSTOOD_OTHERWISE
        answer = self._asked(request, accept)
        if answer.status in _UNDERSTOOD_OTHERWISE:
            return self._by_path(answer, request, there, new)
        return self._judge(answer, request, new)

    def _asked(self, request: Request, accept: Collection[int]) -> Answer:
        """Ask, again after a moment when something was in the way that passes by itself."""
        for turn, pause in enumerate(UNLOCKING):
            answer = self._client.ask(request, accept)
            if answer.status not in _MISSING:
                return answer
            error = self._client.error(answer, request)
            if not self._client.is_momentary(error, request, turn):
                return answer
            time.sleep(pause)
        return self._client.ask(request, accept)

    def _by_path(
        self, refused: Answer, request: Request, there: str, new: str
    ) -> StorageError | None:
        again = replace(request, headers={**request.headers, "Destination": there})
        if self._judge(self._client.ask(again, _ANSWERED), again, new) is not None:
            raise self._client.error(refused, request)
        self._as_path = True
        return None

    def _judge(self, answer: Answer, request: Request, new: str) -> StorageError | None:
        if answer.status in _MISSING:
            return self._refusal(answer, request)
        if answer.status == httpx.codes.PRECONDITION_FAILED:
            raise self._failed_condition(answer, request, new)
        if answer.status == httpx.codes.MULTI_STATUS:
            self._check_members(answer, request)
        self._settled = True
        return None

    def _refusal(self, answer: Answer, request: Request) -> StorageError:
        error = self._client.error(answer, request)
        if isinstance(error, LockedError):
            raise error
        return error

    def _failed_condition(self, answer: Answer, request: Request, new: str) -> Exception:
        if "If-Match" in request.headers:
            return self._client.error(answer, request)
        return AlreadyExistsError(
            "there is something of this name already",
            operation="move",
            name=new,
            storage=self._client.root.url,
        )

    def _check_members(self, answer: Answer, request: Request) -> None:
        for entry in read_entries([answer.body], storage=self._client.root.url):
            if entry.status >= httpx.codes.BAD_REQUEST:
                error = self._client.error(Answer(entry.status), request)
                raise StorageError(
                    f"only a part was moved: {error.reason}",
                    operation="move",
                    name=request.name,
                    storage=error.storage,
                )
