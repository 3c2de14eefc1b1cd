"""The states of a row of ``Work``, and what the sweeper decides about rows. Pure.

    held ──parent ended──▶ waiting ──claimed──▶ running ──ended──▶ (gone) | done | failed | half
      │                      ▲                     │
      └─parent over─▶ (gone)  └──silent, released───┘

``done`` remembers a file of the consume folder for a while, lest a copy that a crash left there is
consumed again; ``failed`` keeps what somebody has to decide about; ``half`` keeps the first half of
a double-sided scan until the second comes (``halves``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.paperless.delivery.tasks import REPEATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from paperfleet.settings.app import AppSettings

HELD = "held"
WAITING = "waiting"
RUNNING = "running"
FAILED = "failed"
DONE = "done"
HALF = "half"

ENDED = frozenset({FAILED, DONE, HALF})


class DeliveryLimits(NamedTuple):
    """Times in seconds: ``silence`` of a running task, ``unseen`` of one that is in no queue."""

    silence: float = 45.0
    unseen: float = 60.0
    unseen_again: float = 15.0
    """The same, of one whose worker died: Redis may have given its message to the dead one."""
    deaths: int = 3
    done: float = 7 * 86_400.0


def limits_of(settings: AppSettings) -> DeliveryLimits:
    """Return the limits that the settings name."""
    return DeliveryLimits(silence=float(settings.task_silence_seconds), deaths=settings.task_deaths)


class Seen(NamedTuple):
    """What the sweeper sees of a row; times in seconds before now, by the database's clock."""

    task_id: str
    name: str
    state: str
    attempt: int = 0
    deaths: int = 0
    silent: float = 0.0
    """Since the last heartbeat of a running one."""
    offered: float = 0.0
    """Since it was published."""
    made: bool = False
    condemned: bool = False
    expired: bool = False
    orphaned: bool = False
    """Of a held one: the attempt that has published it is over."""


class RowGroup(NamedTuple):
    """Rows that are alike: how many, the age of the oldest in seconds, and how often one died."""

    state: str
    name: str
    rows: int
    is_expired: bool = False
    oldest: float = 0.0
    deaths: int = 0


class Fence(NamedTuple):
    """Take a silent row from its owner and offer it; with a ``reason`` the next one fails it."""

    task_id: str
    attempt: int
    reason: str = ""


class Offer(NamedTuple):
    """Publish a waiting row again."""

    task_id: str


class Expire(NamedTuple):
    """End a waiting row whose time is over, as a worker would have."""

    task_id: str


class Discard(NamedTuple):
    """Remove a held row whose attempt is over."""

    task_id: str


Action = Fence | Offer | Expire | Discard


def decide(
    rows: Iterable[Seen], queued: frozenset[str] | None, limits: DeliveryLimits
) -> Iterator[Action]:
    """Yield what is to be done about rows.

    ``queued`` are the tasks that wait in a queue of the broker; None when it does not answer, and
    then nothing is missed there. One that a worker has taken and not begun is published again, so
    that it does not wait for one that may have died; the second message is dropped.
    """
    for row in rows:
        if row.state == RUNNING and row.silent > limits.silence:
            yield Fence(row.task_id, row.attempt, condemnation(row, limits))
        elif row.state == WAITING and row.expired:
            yield Expire(row.task_id)
        elif is_late(row, limits):
            if queued is not None and row.task_id not in queued:
                yield Offer(row.task_id)
        elif row.state == HELD and row.orphaned:
            yield Discard(row.task_id)


def is_late(row: Seen, limits: DeliveryLimits) -> bool:
    """Say whether a waiting row was published so long ago that the broker should have it."""
    patience = limits.unseen_again if row.deaths else limits.unseen
    return row.state == WAITING and row.offered > patience


def condemnation(row: Seen, limits: DeliveryLimits) -> str:
    """Return why a row whose worker has died must not run again; empty when it may."""
    if row.made or row.condemned:
        return ""
    if row.name not in REPEATED:
        return (
            f"the worker died while it ran {row.name}, which may be half done and is not repeated"
        )
    if row.deaths + 1 >= limits.deaths:
        return (
            f"{row.deaths + 1} workers died while they ran {row.name} on this, so that it is not"
            " tried again. If it is a document, look at its size and at the memory of the workers"
        )
    return ""
