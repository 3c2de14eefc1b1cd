"""How long a task takes: drawn from what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import linear_regression
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence


@dataclass(frozen=True)
class TaskTimes:
    """Seconds of one task of a worker with one processor to itself.

    Every task takes ``base``. OCR takes ``document``, and ``page`` for each page, beside, times one
    of ``factors``: by so much a measured document differed from that line.
    """

    base: float
    document: float
    page: float
    factors: Sequence[float]

    def draw(self, rng: random.Random, pages: int) -> float:
        """Return the seconds of one document; ``pages`` are those that OCR reads, 0 without OCR."""
        if not pages:
            return self.base
        return self.base + (self.document + self.page * pages) * rng.choice(self.factors)


def fitted(base: float, measured: Sequence[tuple[int, float]]) -> TaskTimes:
    """Fit a line through measured pages and seconds of OCR.

    Raises ``ValueError`` when the line says that a document or a page takes no time.
    """
    line = linear_regression(*zip(*measured, strict=True))
    if line.slope <= 0 or line.intercept < 0:
        raise ValueError(f"no times of documents: {line.slope} s a page, {line.intercept} s each")
    factors = [seconds / (line.intercept + line.slope * pages) for pages, seconds in measured]
    return TaskTimes(base, line.intercept, line.slope, tuple(factors))
