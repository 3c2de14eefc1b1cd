"""Finding out whether a server understands the name that a MOVE is to give."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from paperfleet.errors import NameRefusedError, StorageError, UnavailableError
from paperfleet.storage.dav.client import Request

if TYPE_CHECKING:
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.trials import Trials

_SUSPICIOUS = frozenset("?;#%+\x7f") | {chr(code) for code in range(0x20)}


class MoveFunction(Protocol):
    """Moves a file or a folder, as ``DavMover.move`` does."""

    def __call__(self, old: str, new: str, *, folder: bool = False) -> StorageError | None:
        """Return why it was refused, None when it is done."""


class Destinations:
    """Tries each suspicious character once, with a file of its own, before it is relied upon.

    WsgiDAV decodes ``Destination`` before it looks for a query, so that ``a?b.pdf`` arrives as
    ``a``: under another name, perhaps somebody else's. Line ends and tabs it leaves out. rclone
    shows other characters in the place of control characters, and remembers for minutes the name
    that it was told: so there is a look below a folder that has been moved, whose files it has to
    read.
    """

    def __init__(
        self,
        client: DavClient,
        trials: Trials,
        move: MoveFunction,
    ) -> None:
        self._client = client
        self._trials = trials
        self._move = move
        self._understood: dict[str, bool] = {}
        self._lock = threading.Lock()

    def check(self, name: str) -> None:
        """Raise ``NameRefusedError`` when the server would misread the name."""
        for character in sorted(_SUSPICIOUS.intersection(name)):
            if not self._understands(character):
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
                self._understood[character] = self._tried(
                    "%41" if character == "%" else f"{character}x"
                )
                self._trials.require_removed()
            return self._understood[character]

    def _tried(self, suffix: str) -> bool:
        root = self._client.root
        with self._trials.folder() as folder:
            first, second = f"{folder}/a", f"{folder}/b"
            self._ask("MKCOL", root.path_of(first, folder=True), {201})
            self._ask("PUT", root.path_of(f"{first}/x"), {200, 201, 202, 204})
            try:
                refusal = self._move(f"{first}/x", f"{first}/y{suffix}")
            except NameRefusedError:
                return False
            if isinstance(refusal, UnavailableError):
                raise refusal
            if refusal is not None:
                return False
            place = self._moved(first, second)
            return self._is_there(root.path_of(f"{place}/y{suffix}"))

    def _moved(self, folder: str, new: str) -> str:
        """Rename a folder where the server does such; return where it is then."""
        try:
            refusal = self._move(folder, new, folder=True)
        except StorageError as error:
            refusal = error
        if refusal is not None and refusal.transient:
            raise refusal
        return folder if refusal else new

    def _is_there(self, path: str) -> bool:
        return 200 <= self._ask("HEAD", path, {200, 204, 400, 403, 404}) < 300

    def _ask(self, method: str, path: str, accept: set[int]) -> int:
        return self._client.ask(Request(method, path, operation="try a name"), accept).status
