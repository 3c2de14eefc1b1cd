"""Pods of one Deployment: when they start, which of them go, and how they end."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import log2
from typing import TYPE_CHECKING

from bench.autoscale.scalers import CPU_INITIALIZATION_SECONDS, METRICS_SECONDS, Usage

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from bench.autoscale.tasks import Task

IDLE_SHARE = 0.01  # assumed: heartbeats


@dataclass(eq=False)
class Pod:
    """One worker with one task at a time; it asks for one processor, which a task keeps busy."""

    number: int
    created: float
    ready: float | None = None
    told: float | None = None  # SIGTERM
    gone: float | None = None
    task: Task | None = None
    reserved: deque[Task] = field(default_factory=deque)
    waits: bool = False  # at the broker, for a message
    began: float = 0.0  # with its task
    busy: float = 0.0  # seconds with tasks that have ended
    _looked: tuple[float, float] | None = None
    _share: float | None = None

    @property
    def stays(self) -> bool:
        """Whether it counts as one of the replicas."""
        return self.told is None and self.gone is None

    def look(self, now: float) -> None:
        """Measure it, as metrics-server does: the processor time since the last look."""
        busy = self.busy + (now - self.began if self.task else 0)
        if self._looked and now > self._looked[0]:
            passed = now - self._looked[0]
            self._share = max((busy - self._looked[1]) / passed, IDLE_SHARE)
        self._looked = (now, busy)

    def usage(self, now: float) -> Usage:
        """Return what is known of it; a pod that starts is not settled."""
        if self.ready is None:
            return Usage(None, settled=False)
        if self._share is None or self._looked is None:
            return Usage(None, settled=True)
        whole = self._looked[0] >= self.ready + METRICS_SECONDS
        return Usage(self._share, whole or now >= self.created + CPU_INITIALIZATION_SECONDS)


def first_to_go(pods: Iterable[Pod], now: float, rng: random.Random) -> list[Pod]:
    """Return pods in the order in which a ReplicaSet deletes them.

    pkg/controller/controller_utils.go, ActivePodsWithRanks: those that are not ready, then those
    that have been ready for a shorter time, then the younger ones, both by the logarithm of their
    age (LogarithmicScaleDown), then by chance. Whether they work nobody asks.
    """
    order = {pod.number: rng.random() for pod in pods}

    def rank(pod: Pod) -> tuple[bool, int, int, float]:
        ready = -1 if pod.ready is None else _magnitude(now - pod.ready)
        return (pod.ready is not None, ready, _magnitude(now - pod.created), order[pod.number])

    return sorted(pods, key=rank)


def _magnitude(seconds: float) -> int:
    return int(log2(seconds * 1e9)) if seconds * 1e9 >= 1 else -1  # Go counts nanoseconds
