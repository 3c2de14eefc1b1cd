"""Giving a file at the server the time of the document."""

from __future__ import annotations

import logging
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Literal

from paperfleet.errors import CredentialsError, StorageError
from paperfleet.storage.dav.client import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.model import FileStat
    from paperfleet.storage.dav.client import DavClient

logger = logging.getLogger(__name__)
SECOND = 10**9
EARLIEST = 24 * 60 * 60 + 1
"""Nextcloud refuses times of up to one day after the epoch, after having written the file
(``MtimeSanitizer.php``)."""

LATEST = 253_402_300_799
"""The last second of the year 9999: no HTTP date is later (RFC 9110, 5.6.7)."""

UNDECIDABLE = 10 * SECOND
"""A document so new has the time of its upload anyway, or nearly."""

FAILURES = 3
"""Times in a row that setting a time may fail in a way that says nothing (5xx) before it is left.
"""

_ANSWERED = {200, 204, 207, 400, 403, 404, 405, 409, 415, 422, 501}
_PROPPATCH = """<?xml version="1.0" encoding="utf-8"?>
<d:propertyupdate xmlns:d="DAV:"><d:set><d:prop>
<d:getlastmodified>{date}</d:getlastmodified>
</d:prop></d:set></d:propertyupdate>"""


def mtime_headers(modified_ns: int | None) -> dict[str, str]:
    """Return ``X-OC-Mtime`` (ownCloud, Nextcloud, rclone) in whole seconds where it may be sent."""
    seconds = (modified_ns or 0) // SECOND
    return {"X-OC-Mtime": str(seconds)} if EARLIEST <= seconds <= LATEST else {}


class ModifiedTimes:
    """Learns in which way a server takes the time of a file, and uses that.

    With the upload (``X-OC-Mtime``), by PROPPATCH of ``getlastmodified`` afterwards (WsgiDAV), or
    not at all. Learned from the first file whose time is not that of the upload itself.
    """

    def __init__(self, client: DavClient) -> None:
        self._client = client
        self._way: Literal["unknown", "header", "proppatch", "none"] = "unknown"
        self._failures = 0

    @property
    def kept(self) -> bool:
        """Say whether files are known to get their time."""
        return self._way in {"header", "proppatch"}

    def comes_with_upload(self, modified_ns: int | None) -> bool:
        """Say whether nothing is to be sent after an upload for the sake of its time."""
        return self._way in {"header", "none"} or not mtime_headers(modified_ns)

    def headers(self, modified_ns: int | None) -> dict[str, str]:
        """Return what to send with an upload."""
        return mtime_headers(modified_ns) if self._way in {"unknown", "header"} else {}

    def settled(self, name: str, modified_ns: int | None, look: Callable[[], FileStat]) -> FileStat:
        """Give an uploaded file its time and return what ``look`` then sees."""
        if self.comes_with_upload(modified_ns):
            return look()
        wanted = (modified_ns or 0) // SECOND * SECOND
        if self._way == "unknown":
            seen = look()
            if abs(time.time() * SECOND - wanted) < UNDECIDABLE:
                return seen
            if seen.modified_ns == wanted:
                self._way = "header"
                return seen
        return self._patched(name, wanted, look)

    def _patched(self, name: str, wanted: int, look: Callable[[], FileStat]) -> FileStat:
        date = formatdate(wanted // SECOND, usegmt=True)
        body = _PROPPATCH.format(date=date).encode()
        request = Request(
            "PROPPATCH",
            self._client.root.path_of(name),
            operation="save",
            name=name,
            headers={"Content-Type": "application/xml; charset=utf-8"},
            body=lambda: body,
            repeatable=True,
        )
        # The look decides, not the answer: a 207 may hold nothing but refusals.
        clear = self._is_answered(request)
        seen = look()
        if seen.modified_ns == wanted:
            self._way, self._failures = "proppatch", 0
        elif clear or self._failures >= FAILURES:
            self._way = "none"
        return seen

    def _is_answered(self, request: Request) -> bool:
        """Send; say whether the answer tells what the server can. Only a refused login raises.

        The time is an extra: whether the file has arrived is for the look that follows to say.
        """
        try:
            self._client.ask(request, accept=_ANSWERED)
        except CredentialsError:
            raise
        except StorageError as error:
            logger.info("the time of a file was not set: %s", error)
            self._failures += 1
            return False
        return True
