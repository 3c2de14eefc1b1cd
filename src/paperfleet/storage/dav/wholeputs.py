"""Whether one PUT is enough: whether a server takes a file whole or not at all, found by trying."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import CredentialsError, StorageError, UnavailableError
from paperfleet.storage.dav.accepted import wait_if_accepted
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.content import SMALL
from paperfleet.storage.dav.slowput import ANY, LONGEST, SlowPut
from paperfleet.storage.dav.values import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from paperfleet.storage.dav.answers import Answer
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.listing import DavListing
    from paperfleet.storage.dav.trials import Trials

logger = logging.getLogger(__name__)
AFTER = 50
"""Files that one PUT would be enough for, before it is tried: a trial costs as much as they do."""

MOST_TRIALS = 3
"""Trials of one backend: behind an address that changes its server all the time nothing is known.
"""

REST = 600.0
"""Seconds until a server is tried again that could not be tried."""

UNDER_WAY = 0.3
"""Seconds for which an upload is looked at while it is under way, more where looks take long."""

SETTLED = 1.0
"""The same after it was cut off: the server has to notice first."""

OPERATION = "try what the server does"
_LOOKS = 5
"""Of the longest look, so many times is waited at least: the uploads wait for the same server."""

_PAUSE = 0.05
_TINY = 1024
_OLD = b"old"
_STORED = {HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}
_NO_STATE = '"paperfleet-no-such-state"'
_NEW = {"If-None-Match": "*"}


class PutFinding(NamedTuple):
    """Whether ``signature`` (address, ``Server``, ``DAV``) takes files whole."""

    signature: tuple[str, ...]
    whole: bool


class WholePuts:
    """Finds out whether a server takes a PUT whole or not at all; safe in threads.

    It does when, in a folder of our own,

    * ``If-None-Match: *`` and ``If-Match`` are honoured on PUT: 412 where they do not hold, and
      nothing changes; and a PUT onto a folder is refused;
    * of two tiny and two large PUTs, onto nothing and onto a file, nothing is to be seen while they
      are under way, nor after they were cut off in the middle;
    * a conditional PUT is judged when it begins: it still replaces what came after that. This is no
      virtue, but it shows that the server itself read those uploads as they came.

    The last one is asked because of what holds an upload back until it is complete: a proxy that
    buffers requests (nginx does), or the surroundings of a script (PHP). A cut upload never gets
    past them, so that it does look harmless, and is. Yet nobody sees how the server behind takes a
    complete one: where it writes in place, readers meet a part, and when it dies the old file is
    gone. There nothing is proven, and files go by a temporary name as before.

    What it cannot show is a server that keeps each upload in memory, and then writes in place: only
    a reader within that moment, or the death of the server in it, meets a part. That save has no
    answer then, so that the file is looked at.

    A trial takes about two seconds and thirty requests, so it is made only after ``AFTER`` files.
    What was found holds for an address and what the server says of itself (``Server``, ``DAV``):
    when that changes it is tried anew. The thread that tries waits, others go on the old way. What
    cannot be tried (403, 5xx, no room) is not proven, and tried again later.
    """

    def __init__(self, client: DavClient, listing: DavListing, trials: Trials) -> None:
        self._client = client
        self._listing = listing
        self._trials = trials
        self._lock = threading.Lock()
        self._saves = self._tries = 0
        self._rests_until = 0.0
        self._found: PutFinding | None = None
        self._kept: PutFinding | None = None

    def suffice(self) -> bool:
        """Say whether one PUT is known to be enough; it may be tried first.

        Raises ``CredentialsError``, and what ``Trials.require_removed`` raises.
        """
        found = self._found
        if found is not None and self._is_of(found):
            return found.whole
        if not self._lock.acquire(blocking=self._kept is not None):
            return False  # it is being tried
        try:
            return self._decided()
        finally:
            self._lock.release()

    def distrust(self, reason: str) -> None:
        """Save by temporary names from now on: the server did otherwise than in the trial."""
        with self._lock:
            found = self._found
            if found is not None and found.whole:
                logger.warning(
                    "%s: files go by temporary names from now on: %s", found.signature[0], reason
                )
                self._found = found._replace(whole=False)

    def finding(self) -> Mapping[str, object] | None:
        """Return what was found, as JSON; None when nothing was."""
        found = self._found or self._kept
        return None if found is None else {"server": list(found.signature), "whole": found.whole}

    def adopt(self, kept: object) -> None:
        """Take over what ``finding`` returned in an earlier process, if it is of the same server.

        That is asked for before the first save. What is no finding counts as none.
        """
        if isinstance(kept, dict) and isinstance(kept.get("whole"), bool):
            self._kept = PutFinding(tuple(texts_of(kept.get("server"))), kept["whole"])

    def _is_of(self, found: PutFinding) -> bool:
        """Say whether it is still that server which answers."""
        return found.signature[1] == self._client.server

    def _decided(self) -> bool:
        if self._found is not None and not self._is_of(self._found):
            logger.info("%s is another server now", self._client.root.url)
            self._found = None
        if self._found is None and self._kept is not None:
            if self._signature() == self._kept.signature:
                self._found = self._kept
            self._kept = None
        if self._found is None:
            self._saves += 1
            rests = self._tries >= MOST_TRIALS or time.monotonic() < self._rests_until
            if self._saves > AFTER and not rests:
                self._found = self._tried()
                if self._found is None:
                    self._rests_until = time.monotonic() + REST
                self._trials.require_removed()
        return self._found is not None and self._found.whole

    def _signature(self) -> tuple[str, ...] | None:
        """Return what the server says of itself; None when it does not."""
        request = Request("OPTIONS", self._client.root.path, operation=OPERATION)
        try:
            told = self._client.ask(request, _STORED).headers
        except CredentialsError:
            raise
        except StorageError as error:
            logger.info("%s: %s", self._client.root.url, error)
            return None
        return self._client.root.url, told.get("server", ""), told.get("dav", "")

    def _tried(self) -> PutFinding | None:
        """Try; return None when it could not be found out."""
        self._tries += 1
        signature = self._signature()
        if signature is None:
            return None
        try:
            with self._trials.folder() as folder:
                trial = _PutTrial(self._client, self._listing, folder)
                whole = trial.honours_conditions() and trial.takes_files_whole()
        except CredentialsError:
            raise
        except StorageError as error:
            logger.info("%s is tried again later: %s", self._client.root.url, error)
            return None
        if self._signature() != signature:
            return None  # more than one server answers
        shown = "is" if whole else "is not"
        logger.info("%s: one PUT %s known to be enough for a file", signature[0], shown)
        return PutFinding(signature, whole)


class _PutTrial:
    """One trial in a folder that was just made."""

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
