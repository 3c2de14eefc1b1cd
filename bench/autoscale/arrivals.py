"""The documents of one day: mail, uploads, and a stack of scans; all from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bench.autoscale.times import TaskTimes

HOUR, DAY = 3600, 86_400
# How busy each hour of an office's day is, from midnight on; 1 is a full hour.
PROFILE = (
    *(0.05, 0.03, 0.03, 0.03, 0.03, 0.1, 0.2, 0.5),
    *(0.9, 1.0, 1.0, 0.9, 0.6, 0.8, 1.0, 1.0),
    *(0.9, 0.7, 0.5, 0.4, 0.3, 0.25, 0.15, 0.1),
)
MAIL_EVERY = 600  # paperless-ngx 3.0.5, settings/custom.py: PAPERLESS_EMAIL_TASK_CRON, */10 * * * *
MAIL_BATCH = 2.5  # documents that a mail check finds in a full hour, on average
UPLOADS = 18.0  # documents that are uploaded in a full hour, on average
BORN_DIGITAL = {"mail": 0.7, "upload": 0.2, "burst": 0.0}  # the share that has its text already
LONG = 0.02  # the share of uploads with 40 to 100 pages
BURST_PAGES = 2000
SCANNER = 60 / 100  # seconds a page: a scanner of 100 pages a minute


class Arrival(NamedTuple):
    """A document at the time when it comes: in a mailbox that is looked at now, or in the queue."""

    at: float
    source: str
    pages: int
    seconds: float


@dataclass(frozen=True)
class Day:
    """What one day brings, by time."""

    seed: int
    arrivals: tuple[Arrival, ...]


def day(seed: int, times: TaskTimes, *, burst: bool) -> Day:
    """Draw a day; with ``burst`` a stack of scans besides, begun between 8 and 16 o'clock."""
    rng = random.Random(f"{seed} {burst}")  # noqa: S311  # repeatable, not secret
    found = [*_mail(rng, times), *_uploads(rng, times)]
    if burst:
        found += _burst(rng, times)
    return Day(seed, tuple(sorted(found)))


def _mail(rng: random.Random, times: TaskTimes) -> list[Arrival]:
    return [
        _arrival(rng, times, at, "mail", _few(rng))
        for at in range(0, DAY, MAIL_EVERY)
        for _ in range(_poisson(rng, MAIL_BATCH * PROFILE[at // HOUR]))
    ]


def _uploads(rng: random.Random, times: TaskTimes) -> list[Arrival]:
    found = []
    for hour, busy in enumerate(PROFILE):
        for _ in range(_poisson(rng, UPLOADS * busy)):
            pages = rng.randint(40, 100) if rng.random() < LONG else _few(rng)
            found.append(_arrival(rng, times, (hour + rng.random()) * HOUR, "upload", pages))
    return found


def _burst(rng: random.Random, times: TaskTimes) -> list[Arrival]:
    begun, read, found = rng.uniform(8, 16) * HOUR, 0, []
    while read < BURST_PAGES:
        pages = min(rng.randint(1, 30), BURST_PAGES - read)
        read += pages
        found.append(_arrival(rng, times, begun + read * SCANNER, "burst", pages))
    return found


def _arrival(rng: random.Random, times: TaskTimes, at: float, source: str, pages: int) -> Arrival:
    read = 0 if rng.random() < BORN_DIGITAL[source] else pages
    return Arrival(at, source, pages, times.draw(rng, read))


def _few(rng: random.Random) -> int:
    return min(1 + int(rng.expovariate(1 / 2)), 30)


def _poisson(rng: random.Random, mean: float) -> int:
    count, passed = 0, rng.expovariate(1)
    while passed < mean:
        count, passed = count + 1, passed + rng.expovariate(1)
    return count
