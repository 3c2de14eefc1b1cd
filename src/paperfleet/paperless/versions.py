"""Which versions of paperless-ngx are known to pass their documents where ``seams`` says. Pure."""

from __future__ import annotations

TESTED = ("2.20.15", "3.0.0", "3.0.5")
"""Versions whose own tests pass with documents in a storage (docs/reference/tested-versions.md)."""


def is_tested(version: str) -> bool:
    """Say whether a version was tested, or lies between two tested ones of its minor series."""
    try:
        number = _number(version)
        series = [_number(tested) for tested in TESTED if _number(tested)[:2] == number[:2]]
    except ValueError:
        return False
    return bool(series) and min(series) <= number <= max(series)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
