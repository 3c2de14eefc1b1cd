"""Whether one PUT is enough: whether a server takes a file whole or not at all, found by trying."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import CredentialsError, StorageError
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.puttrial import PutTrial
from paperfleet.storage.dav.trials import OPERATION
from paperfleet.storage.dav.values import texts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    A trial takes about two seconds and thirty requests, so it is made only after ``AFTER`` files,
    or when many are about to be saved.
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

    def suffice(self, *, many: bool = False) -> bool:
        """Say whether one PUT is known to be enough; it may be tried first.

        ``many`` says that it is one of so many files that a trial is worth it at once. Raises
        ``CredentialsError``, and what ``Trials.require_removed`` raises.
        """
        found = self._found
        if found is not None and self._is_of(found):
            return found.whole
        if not self._lock.acquire(blocking=self._kept is not None):
            return False  # it is being tried
        try:
            return self._decided(many=many)
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

    def _decided(self, *, many: bool) -> bool:
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
            if (many or self._saves > AFTER) and not rests:
                self._found = self._tried()
                if self._found is None:
                    self._rests_until = time.monotonic() + REST
                self._trials.require_removed()
        return self._found is not None and self._found.whole

    def _signature(self) -> tuple[str, ...] | None:
        """Return what the server says of itself; None when it does not."""
        request = Request("OPTIONS", self._client.root.path, operation=OPERATION)
        try:
            told = self._client.ask(request, {200, 204}).headers
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
                trial = PutTrial(self._client, self._listing, folder)
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
