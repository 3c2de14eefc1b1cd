"""What can be looked at before something goes wrong, and what a look tells. Plain data.

Each layer has its own checks; ``paperfleet doctor`` makes them all. A check changes nothing unless
``writes`` says so, and then takes away what it has made.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from paperfleet.errors import PaperfleetError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECONDS = 20.0
"""How long a check may take unless it says something else."""


class Verdict(enum.Enum):
    """How something is.

    ``NOT_TRIED``: nobody looked, for the reason that is told. ``UNKNOWN``: somebody looked, and
    could not find out.
    """

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_TRIED = "not tried"
    UNKNOWN = "unknown"


class CheckResult(NamedTuple):
    """What one look has told. ``text`` and ``remedy`` are for people, and show no secret.

    ``names`` are the documents that it is about: private, so shown only when they are asked for.
    """

    verdict: Verdict
    text: str
    remedy: str = ""
    names: tuple[str, ...] = ()


Look: TypeAlias = "Callable[[], Iterable[CheckResult]]"


class Check(NamedTuple):
    """Something to look at. ``look`` yields one result at least, and may raise.

    ``needs`` are the names of the checks, of the same thing, without which this one cannot be made.
    After ``seconds`` nobody waits for it any longer.
    """

    name: str
    look: Look
    needs: tuple[str, ...] = ()
    seconds: float = SECONDS
    writes: bool = False


def ok(text: str) -> CheckResult:
    """Return that something is as it should be."""
    return CheckResult(Verdict.OK, text)


def warning(text: str, remedy: str = "", names: Iterable[str] = ()) -> CheckResult:
    """Return that something works, and could be better or soon be worse."""
    return CheckResult(Verdict.WARNING, text, remedy, tuple(names))


def problem(text: str, remedy: str = "", names: Iterable[str] = ()) -> CheckResult:
    """Return that something does not work."""
    return CheckResult(Verdict.PROBLEM, text, remedy, tuple(names))


def not_tried(text: str) -> CheckResult:
    """Return why nobody looked."""
    return CheckResult(Verdict.NOT_TRIED, text)


def unknown(text: str, remedy: str = "") -> CheckResult:
    """Return why a look told nothing."""
    return CheckResult(Verdict.UNKNOWN, text, remedy)


def of_error(error: PaperfleetError) -> CheckResult:
    """Return an error as a problem."""
    text = error.reason if isinstance(error, StorageError) else error.message
    return problem(text, error.hint)
