"""Tells of restic's own retries: for a store that is away it tries again for minutes.

It writes a line for each try to where its errors go (``internal/backend/retry`` of restic), which
nobody sees before its end.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOOK_SECONDS: Final = 1.0
_EACH_SECONDS: Final = 60.0
"""How long nothing more is told."""
_RETRY: Final = "returned error, retrying after"
_LAST: Final = 4096


@contextmanager
def told_retries(errors: IO[bytes], say: Callable[[str], object]) -> Iterator[None]:
    """Give each last line of a retry in a file that grows to ``say``, once a minute at most.

    ``say`` is called in a thread of its own, and not after the end of the block.
    """
    ended = threading.Event()

    def look() -> None:
        seen, quiet_until = 0, 0.0
        while not ended.wait(_LOOK_SECONDS):
            before, seen = seen, os.fstat(errors.fileno()).st_size
            if seen == before or time.monotonic() < quiet_until:
                continue
            begin = max(before, seen - _LAST)
            text = os.pread(errors.fileno(), seen - begin, begin).decode(errors="replace")
            if lines := [line for line in text.splitlines() if _RETRY in line]:
                say(lines[-1])
                quiet_until = time.monotonic() + _EACH_SECONDS

    thread = threading.Thread(target=look, name="restic-retries", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
