"""What decides how many pods there are, as Kubernetes and KEDA decide it. No clock of its own.

Sources: kubernetes.io, "Horizontal Pod Autoscaling"; kubernetes/kubernetes 1.33,
pkg/controller/podautoscaler (replica_calculator.go, horizontal.go); keda.sh 2.20, "ScaledObject
specification" and "Redis Lists"; kedacore/keda, pkg/scaling/executor (scale_scaledobjects.go).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

SYNC_SECONDS = 15  # kube-controller-manager, --horizontal-pod-autoscaler-sync-period
TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
STABILIZATION_SECONDS = 300  # --horizontal-pod-autoscaler-downscale-stabilization
UP_TIMES, UP_PODS = 2, 4  # autoscaling/v2, HPAScalingRules: the larger of both, in 15 s
CPU_INITIALIZATION_SECONDS = 300  # --horizontal-pod-autoscaler-cpu-initialization-period
COOLDOWN_SECONDS = 300  # ScaledObject, cooldownPeriod by default: for N to 0 alone
POLLING_SECONDS = 30  # ScaledObject, pollingInterval by default
LIST_LENGTH = 5  # KEDA's Redis trigger, listLength by default
METRICS_SECONDS = (
    15  # metrics-server's components.yaml, --metric-resolution; the window it averages
)


def by_average(metric: float, target: float, replicas: int) -> int:
    """Return what an HPA wants by an external metric of type AverageValue, as KEDA's are.

    GetExternalPerPodMetricReplicas: so many pods that each has ``target``, but no other number
    while ``replicas`` are within 10 % of that.
    """
    if replicas and _tolerated(metric / (target * replicas)):
        return replicas
    return ceil(metric / target)


def _tolerated(ratio: float) -> bool:
    return 1 - TOLERANCE <= ratio <= 1 + TOLERANCE


class Usage(NamedTuple):
    """What metrics-server knows of a pod: the share of its request, None before the first look.

    ``settled``: its probe has succeeded, and before the whole window was measured; or the pod is
    older than the time that is given to it to initialize.
    """

    share: float | None
    settled: bool


def by_cpu(pods: Sequence[Usage], target: float) -> int:
    """Return what an HPA wants by the processor time of pods (GetResourceReplicas).

    Pods that are not settled count as idle where it would scale up, and not at all else; what is
    not known counts as idle on the way up, and as at the target's 100 % on the way down.
    """
    shares = [pod.share for pod in pods if pod.settled and pod.share is not None]
    missing = sum(pod.settled and pod.share is None for pod in pods)
    unready = len(pods) - len(shares) - missing
    if not shares:
        return len(pods)
    ratio = sum(shares) / len(shares) / target
    if not missing and not (unready and ratio > 1):
        return len(pods) if _tolerated(ratio) else ceil(ratio * len(shares))
    assumed = [1.0] * missing if ratio < 1 else [0.0] * (missing + unready)
    counted = len(shares) + len(assumed)
    changed = (sum(shares) + sum(assumed)) / counted / target
    wanted = ceil(changed * counted)
    turned = (ratio < 1 < changed) or (changed < 1 < ratio)
    if _tolerated(changed) or turned or (wanted - len(pods)) * (changed - 1) < 0:
        return len(pods)
    return wanted


@dataclass
class Hpa:
    """The rules by which an HPA follows what it wants."""

    least: int
    most: int
    _wanted: deque[tuple[float, int]] = field(default_factory=deque)
    _begun: bool = False

    def decide(self, now: float, current: int, wanted: int) -> int:
        """Return the number of pods from now on; down to the highest that was wanted in 300 s.

        What there is at first counts as wanted (recordInitialRecommendation).
        """
        if not self._begun:
            self._wanted.append((now, current))
            self._begun = True
        if current == 0:
            return 0  # ScalingDisabled: what KEDA has scaled to zero
        while self._wanted and self._wanted[0][0] <= now - STABILIZATION_SECONDS:
            self._wanted.popleft()
        self._wanted.append((now, wanted))
        steady = max(number for _, number in self._wanted)
        chosen = wanted if wanted > current else min(current, steady)
        chosen = min(chosen, max(current * UP_TIMES, current + UP_PODS))
        return min(max(chosen, self.least, 1), self.most)


@dataclass
class Keda:
    """What KEDA does itself: from zero to one, and from any number to zero."""

    cooldown: float = COOLDOWN_SECONDS
    _active: float | None = None

    def decide(self, now: float, current: int, metric: float, *, least: int = 0) -> int:
        """Return the number of pods after a poll; active is what is strictly more than 0."""
        if metric > 0:
            self._active = now
            return current or max(1, least)
        if current and not least and (self._active is None or now > self._active + self.cooldown):
            return 0
        return max(current, least)


class Seen(NamedTuple):
    """What can be looked at from outside: the list in Redis, all work, and the pods' processors."""

    listed: int
    work: int
    usage: Sequence[Usage]


class Scaler(Protocol):
    """Decides at each sync of the HPA, and at each poll of KEDA where there is one."""

    polling: float | None
    least: int

    def sync(self, now: float, current: int, seen: Seen) -> int:
        """Return the number of pods that the HPA wants."""
        ...

    def poll(self, now: float, current: int, seen: Seen) -> int:
        """Return the number of pods that KEDA wants."""
        ...


class CpuScaler:
    """An HPA by processor time; it cannot have less than one pod."""

    polling: float | None = None

    def __init__(self, most: int, target: float) -> None:
        self.least = 1
        self._hpa, self._target = Hpa(1, most), target

    def sync(self, now: float, current: int, seen: Seen) -> int:
        """Follow the processor time that metrics-server has last told."""
        return self._hpa.decide(now, current, by_cpu(seen.usage, self._target))

    def poll(self, _now: float, current: int, _seen: Seen) -> int:
        """Keep what there is: nothing polls."""
        return current


class KedaScaler:
    """KEDA with one trigger, and one of its cron triggers beside it where ``hours`` names hours."""

    def __init__(
        self,
        most: int,
        target: float,
        polling: float,
        *,
        least: int = 0,
        hours: tuple[int, int] | None = None,
    ) -> None:
        self.polling: float | None = polling
        self.least, self._target, self._hours = least, target, hours
        self._keda, self._hpa = Keda(), Hpa(least, most)

    def sync(self, now: float, current: int, seen: Seen) -> int:
        """Follow the metric, and have a pod at the hours of the cron trigger."""
        wanted = max(by_average(self.metric(seen), self._target, current), self._due(now))
        return self._hpa.decide(now, current, wanted)

    def poll(self, now: float, current: int, seen: Seen) -> int:
        """Wake the fleet, or put it to sleep."""
        metric = self.metric(seen) + self._due(now)
        return self._keda.decide(now, current, metric, least=self.least)

    def metric(self, seen: Seen) -> int:
        """Return the number that this trigger goes by."""
        raise NotImplementedError

    def _due(self, now: float) -> int:
        return int(self._hours is not None and self._hours[0] <= now / 3600 % 24 < self._hours[1])


class ListScaler(KedaScaler):
    """By the length of Celery's list: what no worker has taken, the scheduler's tasks too."""

    def metric(self, seen: Seen) -> int:
        """Return LLEN."""
        return seen.listed


class WorkScaler(KedaScaler):
    """By the work that waits or runs, without what the scheduler starts by itself."""

    def metric(self, seen: Seen) -> int:
        """Return what the metrics endpoint counts."""
        return seen.work
