"""What a benchmark found: all samples, by server, client and metric."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Row:
    """The samples of one metric, in the order in which they were taken.

    ``details`` has a text for each sample where there is more to say, such as which requests.
    """

    server: str
    client: str
    metric: str
    unit: str
    samples: list[float] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle of the samples."""
        return median(self.samples)

    @property
    def p95(self) -> float:
        """What 95 % of the samples stay below; the largest when there are few."""
        return quantiles(self.samples, n=20)[-1] if len(self.samples) >= 20 else max(self.samples)

    def as_json(self) -> dict[str, object]:
        """Return everything, the statistics too."""
        stats = {
            "median": self.median,
            "p95": self.p95,
            "min": min(self.samples),
            "max": max(self.samples),
        }
        return {
            "server": self.server,
            "client": self.client,
            "metric": self.metric,
            "unit": self.unit,
            **stats,
            "samples": self.samples,
            "details": self.details,
        }


class Verdict(NamedTuple):
    """A target, and whether it was reached on a server."""

    target: str
    server: str
    measured: str
    reached: bool


@dataclass
class Result:
    """One benchmark: ``name`` is that of its file, ``about`` says what was done, for people."""

    name: str
    title: str
    about: str
    rows: list[Row] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def add(
        self, server: str, client: str, metric: str, unit: str, sample: float, detail: str = ""
    ) -> None:
        """Add a sample."""
        row = self.find(server, client, metric)
        if row is None:
            row = Row(server, client, metric, unit)
            self.rows.append(row)
        row.samples.append(round(sample, 6))
        if detail:
            row.details.append(detail)

    def find(self, server: str, client: str, metric: str) -> Row | None:
        """Return the row, None when there is none."""
        wanted = (server, client, metric)
        return next((r for r in self.rows if (r.server, r.client, r.metric) == wanted), None)

    def median(self, server: str, client: str, metric: str) -> float:
        """Return the median of a row that there is."""
        row = self.find(server, client, metric)
        if row is None:
            raise KeyError((server, client, metric))
        return row.median

    def best(self, server: str, clients: Iterable[str], metric: str) -> tuple[str, float] | None:
        """Return the client with the least median, None when no row has samples."""
        found = [(row.median, name) for name in clients if (row := self.find(server, name, metric))]
        return (min(found)[1], min(found)[0]) if found else None

    def as_json(self) -> dict[str, object]:
        """Return everything."""
        return {
            "benchmark": self.name,
            "title": self.title,
            "about": self.about,
            "rows": [row.as_json() for row in self.rows],
            "targets": [verdict._asdict() for verdict in self.verdicts],
        }
