"""The fleets that are compared: the same pods and the same most of them, scaled in several ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.autoscale.scalers import (
    LIST_LENGTH,
    POLLING_SECONDS,
    CpuScaler,
    ListScaler,
    Scaler,
    WorkScaler,
)
from bench.autoscale.tasks import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

POLLING = 15.0  # ours, and that of the others at their best
OFFICE_HOURS = (6, 22)
TASK_LIMIT = 1800  # paperless-ngx 3.0.5: PAPERLESS_WORKER_TIMEOUT by default
# As they come: Kubernetes' terminationGracePeriodSeconds, Celery's prefetch multiplier, and
# paperless-ngx's acknowledgement before the task, so that nothing is offered again.
STOCK = Workers(reserve=4, grace=30, offered_again=None)
AT_THEIR_BEST = Workers(reserve=0, grace=TASK_LIMIT + 60, offered_again=None)
# docs/concepts/fleet.md: a heartbeat of 45 s, looked at every 10 s.
OURS = Workers(reserve=0, grace=TASK_LIMIT + 60, offered_again=55)


class Fleet(NamedTuple):
    """How the workers are set up, and what scales them.

    ``scaler`` makes one for each day, for at most so many pods. ``beside``: names of the fleets
    of others that it is judged by.
    """

    name: str
    workers: Workers
    scaler: Callable[[int], Scaler]
    beside: tuple[str, ...] = ()


LIST_TODAY, LIST_BY_DAY = "list length, as set up today", "list length, at its best, one by day"
LIST_FROM_ONE = "list length, at its best, from 1"
CPU_TODAY, CPU_BEST, CPU_LOW = "CPU 80 %, as set up today", "CPU 80 %, at its best", "CPU 50 %"
OURS_BY_DAY, OURS_FROM_ONE = "ours, one by day", "ours, from 1"
CPU_ALL = (CPU_TODAY, CPU_BEST, CPU_LOW)


def _list(most: int, least: int, hours: tuple[int, int] | None) -> Scaler:
    return ListScaler(most, 1, POLLING, least=least, hours=hours)


def _work(most: int, least: int, hours: tuple[int, int] | None) -> Scaler:
    return WorkScaler(most, 1, POLLING, least=least, hours=hours)


FLEETS = (
    Fleet(LIST_TODAY, STOCK, lambda most: ListScaler(most, LIST_LENGTH, POLLING_SECONDS)),
    Fleet(LIST_BY_DAY, AT_THEIR_BEST, lambda most: _list(most, 0, OFFICE_HOURS)),
    Fleet(LIST_FROM_ONE, AT_THEIR_BEST, lambda most: _list(most, 1, None)),
    Fleet(CPU_TODAY, STOCK, lambda most: CpuScaler(most, 0.8)),
    Fleet(CPU_BEST, AT_THEIR_BEST, lambda most: CpuScaler(most, 0.8)),
    Fleet(CPU_LOW, AT_THEIR_BEST, lambda most: CpuScaler(most, 0.5)),
    Fleet(OURS_BY_DAY, OURS, lambda most: _work(most, 0, OFFICE_HOURS), (LIST_TODAY, LIST_BY_DAY)),
    Fleet(OURS_FROM_ONE, OURS, lambda most: _work(most, 1, None), (LIST_TODAY, LIST_FROM_ONE)),
)
