"""One trial whether a server takes a PUT whole or not at all, with files in a folder of its own."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING

from paperfleet.errors import UnavailableError
from paperfleet.storage.dav.accepted import wait_if_accepted
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.content import SMALL
from paperfleet.storage.dav.slowput import ANY, LONGEST, SlowPut
from paperfleet.storage.dav.trials import OPERATION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from paperfleet.errors import StorageError
    from paperfleet.storage.dav.answers import Answer
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.listing import DavListing

UNDER_WAY = 0.3
"""Seconds for which an upload is looked at while it is under way, more where looks take long."""

SETTLED = 1.0
"""The same after it was cut off: the server has to notice first."""

_LOOKS = 5
"""Of the longest look, so many times is waited at least: the uploads wait for the same server."""

_PAUSE = 0.05
_TINY = 1024
_OLD = b"old"
_STORED = {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}
_NO_STATE = '"paperfleet-no-such-state"'
_NEW = {"If-None-Match": "*"}


class PutTrial:
    """One trial in a folder that was just made; for what it has to see, see ``WholePuts``.

    Raises ``StorageError`` for what says nothing of the server, as where it takes too long.
    """

    def __init__(self, client: DavClient, listing: DavListing, folder: str) -> None:
        self._client = client
        self._listing = listing
        self._folder = folder
        self._stays: dict[str, bytes | None] = {}
        """What has to be seen under each name as long as no upload is complete."""

    def honours_conditions(self) -> bool:
        """Say whether a PUT whose condition does not hold changes nothing, and one that holds does.

        And whether a folder keeps its name.
        """
        for name in ("tiny old", "large old"):
            stored = self._put(name, _OLD)
            self._wait_until_done(stored, name)
            if not self._is_stored(stored):
                return False
            self._stays[name] = _OLD
        refused = (
            self._put("tiny old", b"1", _NEW),
            self._put("tiny old", b"2", {"If-Match": _NO_STATE}),
            self._put("nothing", b"3", {"If-Match": _NO_STATE}),
        )
        if any(answer.status != HTTPStatus.PRECONDITION_FAILED for answer in refused):
            return False
        made = self._put("new", b"4", _NEW)
        onto_folder = self._put("", b"5")
        self._stays |= {"nothing": None, "new": b"4"}
        refuses = HTTPStatus.BAD_REQUEST <= onto_folder.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return self._is_stored(made) and refuses and self._is_unchanged()

    def takes_files_whole(self) -> bool:
        """Say whether nothing is seen of uploads under way, nor of those that were cut off."""
        self._stays |= {"tiny new": None, "large new": None}
        raced = self._slow("raced", _TINY, _NEW)
        puts = [
            raced,
            self._slow("tiny new", _TINY, _NEW),
            self._slow("large new", SMALL, _NEW),
            self._slow("tiny old", _TINY),
            self._slow("large old", SMALL),
        ]
        with self._under_way(puts) as answers:
            if not (self._stays_so(UNDER_WAY) and self._is_passed_by(raced)):
                return False
            if any(answer.done() for answer in answers):
                raise self._unclear("an upload ended before its time")
            raced.end()
            last = answers[0].result()
        if last is None:
            raise self._unclear("an upload took too long")
        if not (self._is_stored(last) and self._read("raced") == raced.body):
            return False
        return self._stays_so(SETTLED)

    @contextlib.contextmanager
    def _under_way(self, puts: Sequence[SlowPut]) -> Iterator[Sequence[Future[Answer | None]]]:
        """Send half of each; in the end cut off those that were not told to end."""
        with ThreadPoolExecutor(len(puts), thread_name_prefix="dav-trial") as pool:
            answers = [pool.submit(put.send, OPERATION) for put in puts]
            try:
                if not all(put.wait_until_under_way() for put in puts):
                    raise self._unclear("no upload got under way in time")
                yield answers
            finally:
                for put in puts:
                    put.cut()
            for answer in answers:
                answer.result()

    def _unclear(self, reason: str) -> StorageError:
        return self._client.failure(UnavailableError, reason, OPERATION, "")

    def _slow(self, name: str, size: int, headers: Mapping[str, str] | None = None) -> SlowPut:
        return SlowPut(self._client, f"{self._folder}/{name}", size, headers or {})

    def _is_passed_by(self, slow: SlowPut) -> bool:
        """Put something under the name of an upload that is under way."""
        other = b"other"
        stored = self._is_stored(self._put("raced", other, _NEW))
        return stored and slow.body != other and self._read("raced") == other

    def _stays_so(self, seconds: float) -> bool:
        """Look again and again for so long, or for some times as long as the longest look takes."""
        began, longest = time.monotonic(), 0.0
        while True:
            at = time.monotonic()
            if not self._is_unchanged():
                return False
            now = time.monotonic()
            longest = max(longest, now - at)
            if now - began >= max(seconds, _LOOKS * longest):
                return True
            if now - began > LONGEST:
                raise self._unclear("looks take too long")
            time.sleep(_PAUSE)

    def _is_unchanged(self) -> bool:
        """Read all that has to stay, as a listing may tell an old size of a torn file."""
        _, children = self._listing.children(self._folder, operation=OPERATION)
        listed = {child.name.rpartition("/")[2]: child.entry for child in children}
        for name, content in self._stays.items():
            if (name in listed) != (content is not None):
                return False
            if content is not None and listed[name].size != len(content):
                return False
        return all(self._read(name) == content for name, content in self._stays.items())

    def _read(self, name: str) -> bytes | None:
        headers = {"Accept-Encoding": "identity", "Cache-Control": "no-cache"}
        request = Request("GET", self._path(name), operation=OPERATION, headers=headers)
        answer = self._client.ask(request, {200, 204, 404, 410, 423})
        if answer.status == HTTPStatus.LOCKED:
            return b"locked"  # which is no longer what was there
        return answer.body if answer.is_done else None

    def _put(self, name: str, content: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        request = Request(
            "PUT",
            self._path(name),
            operation=OPERATION,
            headers={"Content-Length": str(len(content)), **(headers or {})},
            body=lambda: content,
            repeatable=False,
        )
        return self._client.ask(request, ANY)

    def _wait_until_done(self, answer: Answer, name: str) -> None:
        """Let what was only accepted be done, so that it does not come once the folder is gone."""
        wait_if_accepted(self._client, answer, lambda: self._read(name) is not None, OPERATION, "")

    def _path(self, name: str) -> str:
        return self._client.root.path_of(f"{self._folder}/{name}" if name else self._folder)

    def _is_stored(self, answer: Answer) -> bool:
        return answer.status in _STORED
