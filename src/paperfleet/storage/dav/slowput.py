"""A PUT that takes its time, to look at the server while it is under way and after it was cut."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from paperfleet.storage.dav.client import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.storage.dav.answers import Answer
    from paperfleet.storage.dav.client import DavClient

LONGEST = 10.0
"""Seconds after which it is cut off in any case, whatever the server makes others wait for."""

TIMEOUT = 30.0
_PAUSE = 0.05
"""Seconds between single bytes; between two of them an early answer is read."""

ANY = set(range(200, 600)) - {401, 407, 423, 425, 429, 503, 507}
"""Answers that tell what the server does; the others say that it cannot be tried now."""


class _CutOffError(Exception):
    """Ends a body before its end, and the connection with it."""


class SlowPut:
    """Sends half of a body at once, then single bytes until it is told to end or to be cut.

    ``send`` belongs to one thread, the rest to another.
    """

    def __init__(self, client: DavClient, name: str, size: int, headers: Mapping[str, str]) -> None:
        self.body = b"n" * size
        self._client = client
        self._name = name
        self._headers = headers
        self._begun, self._told = threading.Event(), threading.Event()
        self._ends = False

    def send(self, operation: str) -> Answer | None:
        """Return the answer, None when it was cut off before one came; raise ``StorageError``."""
        request = Request(
            "PUT",
            self._client.root.path_of(self._name),
            operation=operation,
            headers={"Content-Length": str(len(self.body)), **self._headers},
            body=self._pieces,
            repeatable=False,
            timeout=TIMEOUT,
        )
        try:
            return self._client.ask(request, ANY)
        except _CutOffError:
            return None
        finally:
            self._begun.set()

    def wait_until_under_way(self) -> bool:
        """Wait until half of it has gone out; False when that takes too long."""
        return self._begun.wait(LONGEST)

    def end(self) -> None:
        """Let the rest of the body go out."""
        self._ends = True
        self._told.set()

    def cut(self) -> None:
        """Let the connection be cut; nothing, when it was told to end."""
        self._told.set()

    def _pieces(self) -> Iterator[bytes]:
        began, sent = time.monotonic(), len(self.body) // 2
        yield self.body[:sent]
        # What is asked for now is held back: only the piece after it sends the half.
        while not self._told.wait(_PAUSE) and time.monotonic() - began < LONGEST:
            yield self.body[sent : sent + 1]
            sent += 1
            if sent > len(self.body) // 2 + 1:
                self._begun.set()
        if not self._ends:
            raise _CutOffError
        yield self.body[sent:]
