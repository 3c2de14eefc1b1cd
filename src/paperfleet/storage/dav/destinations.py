"""Finding out whether a server understands the name that a MOVE is to give."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx

from paperfleet.errors import NameRefusedError, UnavailableError
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.temporary import temporary_beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.errors import StorageError
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.listing import Listing

_SUSPICIOUS = {
    "?": "?x",
    ";": ";x",
    "#": "#x",
    "%": "%41",
    "+": "+x",
    "\n": "\nx",
    "\r": "\rx",
    "\t": "\tx",
}
"""Character → the end of a name by which it is tried."""


class Destinations:
    """Tries each suspicious character once, with a file of its own, before it is relied upon.

    WsgiDAV decodes ``Destination`` before it looks for a query, so that ``a?b.pdf`` arrives as
    ``a``: under another name, perhaps somebody else's. Line ends and tabs it leaves out.
    """

    def __init__(
        self,
        client: DavClient,
        listing: Listing,
        move: Callable[[str, str], StorageError | None],
    ) -> None:
        self._client = client
        self._listing = listing
        self._move = move
        self._understood: dict[str, bool] = {}
        self._lock = threading.Lock()

    def check(self, name: str) -> None:
        """Raise ``NameRefusedError`` when the server would misread the name."""
        for character in _SUSPICIOUS:
            if character in name and not self._understands(character):
                raise NameRefusedError(
                    f"the server misreads {character!r} in the destination of a MOVE",
                    operation="move",
                    name=name,
                    storage=self._client.root.url,
                    hint="Rename the file at the source, or report this to the server's makers",
                )

    def _understands(self, character: str) -> bool:
        with self._lock:
            if character not in self._understood:
                self._understood[character] = self._tried(_SUSPICIOUS[character])
            return self._understood[character]

    def _tried(self, suffix: str) -> bool:
        source, other = temporary_beside("x"), temporary_beside("x")
        self._ask("PUT", source, {200, 201, 204})
        understood = False
        try:
            refusal = self._move(source, other + suffix)
            if isinstance(refusal, UnavailableError):
                raise refusal
            understood = refusal is None and self._is_there(other + suffix)
        finally:
            left = [other + suffix] if understood else self._left_by(source, other)
            for name in left:
                self._ask("DELETE", name, {200, 202, 204, 404})
        return understood

    def _left_by(self, *beginnings: str) -> list[str]:
        """Return the names that a misread attempt may have ended up under."""
        _, children = self._listing.children("", operation="try a name")
        return [child.name for child in children if child.name.startswith(beginnings)]

    def _is_there(self, name: str) -> bool:
        return self._ask("HEAD", name, {200, 204, 404}) != httpx.codes.NOT_FOUND

    def _ask(self, method: str, name: str, accept: set[int]) -> int:
        request = Request(method, self._client.root.path_of(name), operation="try a name")
        return self._client.ask(request, accept).status
