"""When the mirror does what: its times and flags, and what changes them. Pure: the clock is given.

What happens changes a schedule only as the table ``TRANSITIONS`` says.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Happening(enum.Enum):
    """What changes a schedule."""

    ASKED = "the target is being asked whether it is there"
    ANSWERED = "it answered, or did not"
    CONTACTED = "the target was looked at for the first time"
    SCAN_BEGUN = "everything is being scanned"
    PLANNED = "names were scanned"
    ENDED = "operations have ended"
    SUCCEEDED = "no operation of those that ended tells of the target as a whole"
    CHECK_WANTED = "the target has to be compared"
    CHECK_BEGUN = "the target is being compared"
    CHECK_ENDED = "that came to an end"
    CHECKED = "the target was compared"
    PAUSED = "the target as a whole failed"
    RESUMED = "the pause is over"
    SYNCED = "all is done"
    BEAT = "the heartbeat was written"


class After(NamedTuple):
    """So many seconds from now: an interval by its name; ``''`` is now itself."""

    interval: str = ""


class Intervals(NamedTuple):
    """Seconds. ``quiet``: how long no operation ends before the target is compared."""

    scan: float
    check: float
    quiet: float
    heartbeat: float


ONE_MORE: Final = object()
"""A count grows by one."""

TRANSITIONS: Final[Mapping[Happening, Mapping[str, object]]] = {
    Happening.ASKED: {"asking": True},
    Happening.ANSWERED: {"asking": False},
    Happening.CONTACTED: {"contacted": True, "check_wanted": False, "next_scan": After("scan")},
    Happening.SCAN_BEGUN: {"check_wanted": True, "next_scan": After("scan")},
    Happening.PLANNED: {"unsettled": True},
    Happening.ENDED: {"quiet_since": After()},
    Happening.SUCCEEDED: {"failures": 0},
    Happening.CHECK_WANTED: {"check_wanted": True},
    Happening.CHECK_BEGUN: {"check_wanted": False, "checking": True},
    Happening.CHECK_ENDED: {"checking": False},
    Happening.CHECKED: {"next_check": After("check")},
    Happening.PAUSED: {"failures": ONE_MORE, "paused_until": After("pause")},
    Happening.RESUMED: {"paused_until": None, "check_wanted": True},
    Happening.SYNCED: {"unsettled": False, "first_done": True, "next_heartbeat": After()},
    Happening.BEAT: {"next_heartbeat": After("heartbeat")},
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Times are seconds of the caller's clock.

    ``contacted``: the target has answered; ``first_done``: the first sync is done; ``unsettled``:
    something was scanned since all was done; ``asking``: the target is being asked whether it is
    there, and nothing begins before it answers; ``check_wanted``: the target is to be compared once
    nothing has ended for a while; ``checking``: it is being compared, beside everything else;
    ``failures``: of the target as a whole, in a row.
    """

    intervals: Intervals
    next_scan: float
    next_check: float
    next_heartbeat: float
    quiet_since: float
    paused_until: float | None = None
    contacted: bool = False
    first_done: bool = False
    unsettled: bool = False
    asking: bool = False
    check_wanted: bool = False
    checking: bool = False
    failures: int = 0

    @classmethod
    def starting(cls, now: float, intervals: Intervals) -> Schedule:
        """Return the schedule of a mirror that starts now: everything is due."""
        return cls(intervals, now, now, now, now)

    def after(self, happening: Happening, now: float, pause: float = 0.0) -> Schedule:
        """Return the schedule once this has happened; ``pause`` in seconds is for a failure."""
        changes = TRANSITIONS[happening]
        return replace(self, **{f: self._value(f, v, now, pause) for f, v in changes.items()})  # type: ignore[arg-type]  # the table's test compares the types

    def _value(self, field: str, value: object, now: float, pause: float) -> object:
        if value is ONE_MORE:
            return getattr(self, field) + 1
        if not isinstance(value, After):
            return value
        if value.interval == "pause":
            return now + pause
        return now + getattr(self.intervals, value.interval) if value.interval else now

    @property
    def paused(self) -> bool:
        """Whether nothing is sent for a while."""
        return self.paused_until is not None

    def pause_is_over(self, now: float) -> bool:
        """Say whether a pause has come to its end."""
        return self.paused_until is not None and now >= self.paused_until

    def scan_is_due(self, now: float) -> bool:
        """Say whether everything is to be scanned."""
        return now >= self.next_scan

    def heartbeat_is_due(self, now: float) -> bool:
        """Say whether the heartbeat is to be written."""
        return now >= self.next_heartbeat

    def check_is_due(self, now: float, *, cheap: bool) -> bool:
        """Say whether the target is to be compared, given that nothing is going on.

        ``cheap``: an unchanged target costs one request; it is then asked now and then.
        """
        quiet = now >= self.quiet_since + self.intervals.quiet
        return not self.checking and (
            (self.check_wanted and quiet) or (cheap and self.first_done and now >= self.next_check)
        )

    def patience(
        self, now: float, settles: float | None, *, idle: bool, backlog: bool = False
    ) -> float:
        """Return for how many seconds nothing is due.

        ``settles``: in how many seconds a changed name may be looked at, None for none; ``idle``:
        nothing is queued or under way; ``backlog``: names wait to be looked at.
        """
        due = [self.next_heartbeat - now]
        if self.asking:
            pass  # the answer itself ends the wait
        elif self.paused_until is not None:
            due.append(self.paused_until - now)
        elif not self.contacted:
            due.append(0.0)
        else:
            due += [self.next_scan - now] + ([settles] if settles is not None else [])
            if self.check_wanted and idle and not self.checking:
                due.append(self.quiet_since + self.intervals.quiet - now)
            if backlog and idle:
                due.append(0.0)
        return max(0.0, min(due))
