"""How long an outage of the storage is waited for: a task waits, a request says so at once.

A task of paperless-ngx has the document in its hands: to fail would mean that somebody has to bring
it again. Who waits in front of a browser wants an answer, and can ask again.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING

from paperfleet.errors import UnavailableError
from paperfleet.storage.streams import ReaderAround
from paperfleet.storage.wrappers.retrying import patience_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUTAGE = 600.0
REQUEST_LOCK = 60.0
"""Seconds for which a request waits for the media lock, which a task may hold through an outage."""
_PAUSE = 1.0

_answering: ContextVar[bool] = ContextVar("answering", default=False)


class _Tasks:
    """How many tasks of Celery this process runs, and how long each waits, in seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.running, self.outage = 0, OUTAGE

    def begin(self, **_signal: object) -> None:
        """Be told by Celery that a task begins."""
        with self._lock:
            self.running += 1

    def end(self, **_signal: object) -> None:
        """Be told by Celery that a task is over."""
        with self._lock:
            self.running = max(0, self.running - 1)


tasks = _Tasks()


@contextmanager
def answering() -> Iterator[None]:
    """Within this block somebody waits in front of a browser."""
    token = _answering.set(True)
    try:
        yield
    finally:
        _answering.reset(token)


def is_answering() -> bool:
    """Say whether this is a request."""
    return _answering.get()


def seconds() -> float:
    """Return for how long to wait for a storage that does not answer."""
    return tasks.outage if tasks.running and not is_answering() else 0.0


class PatientReader(ReaderAround):
    """A seekable stream that goes on where it was when the storage answers again.

    ``UnavailableError`` comes only when it did not within ``patience`` seconds.
    """

    def __init__(self, stream: IO[bytes], patience: float) -> None:
        super().__init__(stream)
        self._patience = patience

    def _take(self, read: Callable[[], bytes]) -> bytes:
        began = time.monotonic()
        while True:
            try:
                return super()._take(read)
            except UnavailableError as error:
                if time.monotonic() - began >= patience_with(error, self._patience):
                    raise
                time.sleep(_PAUSE)
                self._stream.seek(self._at)
