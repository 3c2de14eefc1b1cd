"""Whether the etags of a server say anything: some make new ones for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.dav.multistatus import DavEntry

LOOKS = 2
"""Further looks at a file whose etag is on trial: somebody may write it between two of them."""

TRIALS = 3
"""Files that are tried, as one may be in somebody's hands."""


class Etags:
    """Knows whether the etag of a file stays while the file does (RFC 9110, 8.8.1).

    Where it does not, etags are left out of all that is seen: they would make every file look
    changed, and no condition on one would ever hold.
    """

    def __init__(self, *, trusted: bool) -> None:
        self._hold: bool | None = True if trusted else None
        self._trials = 0

    @property
    def known(self) -> bool:
        """Whether it was found out, or is not to be tried any more."""
        return self._hold is not None or self._trials >= TRIALS

    def cleaned(self, entry: DavEntry) -> DavEntry:
        """Return an entry without its etag where that says nothing."""
        return entry._replace(etag=None) if self._hold is False else entry

    def try_out(self, entry: DavEntry, look: Callable[[], DavEntry | None]) -> None:
        """Find out by looking at one file again; ``look`` gives what is there now."""
        if self._hold is not None or entry.is_folder or entry.etag is None:
            return
        self._trials += 1
        before = entry
        for _ in range(LOOKS):
            now = look()
            if now is None or now._replace(etag=None) != before._replace(etag=None):
                return  # somebody is at work on it; another file will tell
            if now.etag == before.etag:
                self._hold = True
                return
            before = now
        self._hold = False
