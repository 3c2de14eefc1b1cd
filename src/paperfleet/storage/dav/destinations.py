"""Finding out whether a server understands the name that a MOVE is to give."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from paperfleet.errors import NameRefusedError, UnavailableError
from paperfleet.storage.dav.client import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.errors import StorageError
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.trials import Trials

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
        trials: Trials,
        move: Callable[[str, str], StorageError | None],
    ) -> None:
        self._client = client
        self._trials = trials
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
                self._trials.require_removed()
            return self._understood[character]

    def _tried(self, suffix: str) -> bool:
        with self._trials.folder() as folder:
            source, other = f"{folder}/x", f"{folder}/y{suffix}"
            self._ask("PUT", source, {200, 201, 202, 204})
            try:
                refusal = self._move(source, other)
            except NameRefusedError:
                return False
            if isinstance(refusal, UnavailableError):
                raise refusal
            return refusal is None and self._is_there(other)

    def _is_there(self, name: str) -> bool:
        return 200 <= self._ask("HEAD", name, {200, 204, 400, 403, 404}) < 300

    def _ask(self, method: str, name: str, accept: set[int]) -> int:
        request = Request(method, self._client.root.path_of(name), operation="try a name")
        return self._client.ask(request, accept).status
