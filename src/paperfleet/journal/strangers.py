"""How many files at the target are neither at the source nor known, as the mirror wrote it down."""

from __future__ import annotations

STRANGERS = "strangers"
"""The fact: their number by folder of the target."""


def counted(fact: object) -> int:
    """Return how many there are in all folders."""
    return sum(map(int, fact.values())) if isinstance(fact, dict) else 0
