"""Looking whether an upload arrived, in the cheapest way that says the same as a listing."""

from __future__ import annotations

import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from paperfleet.errors import BusyError, IntegrityError
from paperfleet.model import FileStat
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.multistatus import clean_etag, time_of
from paperfleet.storage.dav.values import number_of

if TYPE_CHECKING:
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.found import FoundFile
    from paperfleet.storage.dav.listing import DavListing

WORKING = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0)
"""Seconds between two looks at a file that the server still works on."""

APPEARING = (0.1, 0.3, 0.6, 1.0, 1.0, 2.0)
"""Seconds between two looks at a file that is not to be seen yet."""

_ANSWERED = {200, 204, 403, 404, 405, 501}


class UploadCheck:
    """Looks at files that were just uploaded; safe in many threads.

    HEAD (RFC 9110, 9.3.2) costs both ends less than PROPFIND, yet a server need not say the same in
    both. So the first file is looked at in both ways, and HEAD is relied upon from then on only if
    size, time and etag were equal.
    """

    def __init__(self, client: DavClient, listing: DavListing) -> None:
        self._client = client
        self._listing = listing
        self._by_head: bool | None = None
        self._lock = threading.Lock()

    def look(self, uploaded: str, name: str) -> FileStat:
        """Return what the server has as ``uploaded``, which is to become ``name``.

        A server that still works on the file is waited for. Raises ``IntegrityError`` when there is
        nothing, ``BusyError`` when it takes too long.
        """
        for pause in WORKING:
            try:
                return self._look_once(uploaded, name)
            except BusyError as error:
                if not error.at_work:
                    raise
                time.sleep(pause)
        return self._look_once(uploaded, name)

    def _look_once(self, uploaded: str, name: str) -> FileStat:
        seen = self._headed(uploaded, name) if self._by_head else None
        if seen is not None:
            return seen
        found = self._found(uploaded)
        if found is None:
            raise self._client.failure(IntegrityError, "the upload vanished", "save", name)
        self._compare(found.stat, name)
        return found.stat

    def _found(self, uploaded: str) -> FoundFile | None:
        """Look by PROPFIND, again after a moment: some servers show an upload a little later."""
        for pause in APPEARING:
            found = self._listing.look(uploaded, operation="save")
            if found is not None:
                return found
            time.sleep(pause)
        return self._listing.look(uploaded, operation="save")

    def _compare(self, listed: FileStat, name: str) -> None:
        """Find out, once, whether HEAD says what a listing says."""
        with self._lock:
            if self._by_head is None:
                seen = self._headed(listed.name, name)
                self._by_head = seen is not None and seen == listed._replace(file_id=None)

    def _headed(self, uploaded: str, name: str) -> FileStat | None:
        """Return what HEAD says of a file, None when it does not say enough."""
        request = Request(
            "HEAD",
            self._client.root.path_of(uploaded),
            operation="save",
            name=name,
            headers={"Accept-Encoding": "identity"},
        )
        answer = self._client.ask(request, _ANSWERED)
        size = number_of(answer.headers.get("content-length"))
        if answer.status != HTTPStatus.OK or size is None:
            return None
        modified = time_of(answer.headers.get("last-modified"))
        return FileStat(uploaded, size, modified, clean_etag(answer.headers.get("etag")))
