"""What only widens a promise that another test guards: `make test` leaves it to `make test-all`.

Everything is in `make test` unless one of these rules says otherwise; no test is named here.

* Conformance: a module is about one backend. Of its configurations, the first one that runs a
  behaviour of the suite is in `make test`; the others widen it.
* A fixture or test over many values of one kind gives them as ``first_of(…)``: all but the first
  widen it.
* Of the kinds of targets in the mirror's scenarios, a Nextcloud, which has every ability, and one
  with none are in ``make test``; the others widen them, but a bucket for what others do there. A
  bucket widens the kills too, but for a few moments.
* Of a fleet, whose programs take seconds to start, ``make test`` has one way through each promise;
  the rest is wide. So is what installs packages.
* Of a backup, whose runs take seconds too, ``make test`` has one way there and back, and one fault
  of each kind; the rest is wide.
* Kills on a plain WebDAV server widen those on the double of a Nextcloud, but for the moments
  around what puts a file in its place. Every moment of a kill widens some of them: on the double in
  ``make test-all``, on the other servers in ``make soak``.
* Leases in memory, which one process has for itself, widen those in files, Redis and PostgreSQL.
* What repeats itself (examples of Hypothesis, later moments of a kill, counts) does so less often.
* A module about what only measures (the benchmarks) is wide as a whole: ``pytestmark = WIDE``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest

from paperfleet.testing.storage_suite import StorageSuite

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDE = pytest.mark.wide
QUICK = os.environ.get("HYPOTHESIS_PROFILE") == "quick"
"""Says that this is ``make test``, for what repeats itself and can do so less often."""


def first_of(values: Iterable[Any], count: int = 1) -> list[Any]:
    """Return the values as parameters of which all but the first ``count`` are wide."""
    return [
        value if number < count else pytest.param(value, marks=WIDE)
        for number, value in enumerate(values)
    ]


def mark_wide(items: Iterable[pytest.Item]) -> None:
    """Mark the behaviours of the storage suite that a class further up its module runs, too."""
    run: set[tuple[str, str]] = set()
    for item in items:
        if is_behaviour(item) and not declared_exception(item):
            behaviour = str(item.path), item.name
            if behaviour in run:
                item.add_marker(WIDE)
            run.add(behaviour)


def is_behaviour(item: pytest.Item) -> TypeGuard[pytest.Function]:
    """Say whether a test is one of the storage suite's."""
    return (
        isinstance(item, pytest.Function)
        and item.cls is not None
        and issubclass(item.cls, StorageSuite)
    )


def declared_exception(item: pytest.Function) -> bool:
    """Say whether a configuration declares that the suite's test does not hold for it."""
    named = {item.name, item.originalname} & item.cls.exceptions.keys()
    return bool(named) and item.function.__module__.startswith("paperfleet.testing.")
