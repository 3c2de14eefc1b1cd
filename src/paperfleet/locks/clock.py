"""The clock by which a holder knows that its lease has run out."""

from __future__ import annotations

import time

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> float:
    """Return seconds on a clock that never goes back and counts the sleep of the machine.

    ``CLOCK_BOOTTIME`` (clock_gettime(2)) where there is one; elsewhere the monotonic clock, which
    may stand still while the machine sleeps. All processes of one boot share it.
    """
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)
