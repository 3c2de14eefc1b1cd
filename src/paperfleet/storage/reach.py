"""Whether an answer speaks of one file or of the whole server."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from paperfleet.errors import BusyError, StorageError, ThrottledError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

RECENT = 10.0
"""Seconds for which a file counts that met such an answer."""

MANY = 10
"""Files that fail one after the other in so short a time: more than are sent at once."""

_WAIT = {429, 503}
_WORK = {"PUT", "MOVE", "DELETE", "GET"}

_PERHAPS_ONE = {429, 500, 502, 503, 504}


class Reach:
    """Tells the two apart; safe in many threads.

    503 or 429 to a request about one file may mean that file, which the server still works on or
    limits, or that nobody gets anything now. So the root is looked at (a bucket is listed): a
    server that answers for it is well. Yet a limit of requests lets one pass now and then, so the
    second file that is told to wait (429, SlowDown) means the whole server, and so does each one
    after several files that failed.
    ``root_answers`` looks at the root.
    """

    def __init__(
        self, root_answers: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._root_answers = root_answers
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: dict[str, float] = {}
        self._throttled: dict[str, float] = {}

    def judged(self, error: StorageError, status: int) -> StorageError:
        """Return the error, or a ``BusyError`` instead when it speaks of its file alone."""
        kind = type(error)
        if not error.name or kind not in {UnavailableError, ThrottledError}:
            return error
        if status not in _PERHAPS_ONE or self._are_many(error) or not self._root_answers():
            return error
        busy = BusyError(
            f"{error.reason}, and answers for other names",
            operation=error.operation,
            name=error.name,
            storage=error.storage,
            hint=error.hint,
            retry_after=error.retry_after,
        )
        busy.at_work = status in _WAIT
        return busy

    def answered(self, method: str) -> None:
        """Note that the server did some work for us."""
        if self._failed and method in _WORK:
            with self._lock:
                self._failed.clear()

    def _are_many(self, error: StorageError) -> bool:
        """Note a file that failed, and say whether too many did of late."""
        throttled = isinstance(error, ThrottledError)
        now = self._clock()
        until = now + max(error.retry_after or 0.0, RECENT)
        with self._lock:
            noted = self._throttled if throttled else self._failed
            for name in [name for name, end in noted.items() if end < now]:
                del noted[name]
            noted[error.name] = until
            return len(noted) >= (2 if throttled else MANY)
