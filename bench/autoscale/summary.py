"""What the days of one fleet came to, together."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, quantiles
from typing import TYPE_CHECKING

from bench.autoscale.arrivals import DAY, HOUR
from bench.autoscale.simulation import SLOTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.autoscale.simulation import Outcome

_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Summary:
    """All days of one fleet. Waits of documents end when a worker first begins with them."""

    outcomes: Sequence[Outcome]

    @property
    def waits(self) -> list[float]:
        """Seconds from the arrival of each document."""
        return [
            task.begun - task.arrived
            for outcome in self.outcomes
            for task in outcome.documents
            if task.begun is not None
        ]

    @property
    def wakes(self) -> list[float]:
        """Seconds from a document that finds no pods until work begins."""
        return [wake for outcome in self.outcomes for wake in outcome.wakes]

    @property
    def pod_hours(self) -> float:
        """Hours of pods on a day, on average."""
        return fmean(outcome.pod_seconds for outcome in self.outcomes) / HOUR

    @property
    def killed(self) -> int:
        """Kills of workers with a document."""
        return sum(task.kills for outcome in self.outcomes for task in outcome.documents)

    @property
    def lost(self) -> int:
        """Documents that nobody will ever work on again."""
        return sum(task.lost for outcome in self.outcomes for task in outcome.documents)

    @property
    def scale_downs(self) -> int:
        """Decisions for fewer pods."""
        return sum(outcome.scale_downs for outcome in self.outcomes)

    @property
    def stopped_busy(self) -> int:
        """Pods that had a task when they were told to end."""
        return sum(outcome.stopped_busy for outcome in self.outcomes)


def percentile(values: Sequence[float], part: int) -> float:
    """Return what ``part`` % of at least two values stay below."""
    return quantiles(values, n=100, method="inclusive")[part - 1]


def picture(outcome: Outcome, most: int) -> str:
    """Return a bar for each half hour of a day: pods on average, the highest bar is ``most``."""
    slot = DAY / SLOTS
    return "".join(
        _BARS[min(-(-int(alive / slot * 100) * (len(_BARS) - 1) // (most * 100)), len(_BARS) - 1)]
        for alive in outcome.alive
    )
