"""Whether a Redis is another one than the scheduler's, told by marks. Pure.

The scheduler writes a new random mark into its Redis every few seconds, and then into the database.
Whoever has the same Redis finds one of the last marks there, by whatever name it calls the server.
A Redis that was emptied has a mark again as soon as the scheduler comes by. So one that lacks what
was written meanwhile, several times, is another one. Where no scheduler works, or a server does not
answer, nothing is said.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 5
"""How many marks the database remembers."""
FRESH = 45.0
"""Seconds after which a scheduler that wrote no mark does not count as working."""
_WAIT = 45.0
_PAUSE = 1.0
_MISSES = 2


class Marked(NamedTuple):
    """The last marks, the newest last; which host wrote it, and how many seconds ago."""

    marks: tuple[str, ...]
    host: str
    age: float


def other_than(
    marked: Callable[[], Marked | None],
    in_redis: Callable[[], str | None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> str | None:
    """Return the host of a scheduler that has another Redis, None where none is known to have.

    ``in_redis`` returns the mark that is there, '' for none, None when nobody answers.
    """
    known = marked()
    misses, end = 0, now() + _WAIT
    while known is not None and known.age < FRESH and now() < end:
        found = in_redis()
        latest = marked()
        if found is None or latest is None or found in latest.marks:
            return None
        if latest.marks[-1] != known.marks[-1]:  # it was in the scheduler's Redis before
            misses += 1
            if misses > _MISSES:
                return latest.host
        known = latest
        sleep(_PAUSE)
    return None
