"""What an error of one operation means for the journal and for what is done next. Pure data."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

from paperfleet import errors
from paperfleet.mirror.execute import SourceError
from paperfleet.model import MoveFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.model import Operation


class ErrorEffect(enum.Enum):
    """What is known of the target afterwards."""

    NONE = "the server refused: nothing happened"
    UNKNOWN = "nobody knows: look at the target before anything else"


class Then(enum.Enum):
    """What the mirror does next."""

    AGAIN = "look at the name again soon"
    QUARANTINE = "leave the name for a while and tell why"
    PAUSE = "send nothing for a while"
    PAUSE_AND_COUNT = "send nothing for a while; a name that brings it about each time is left"


class ErrorRule(NamedTuple):
    """What an error means."""

    effect: ErrorEffect
    then: Then


_POLICY: Sequence[tuple[type[Exception], ErrorEffect, Then]] = (
    # The first row that fits counts; an error class stands above those it derives from.
    (errors.LeaseLostError, ErrorEffect.UNKNOWN, Then.AGAIN),
    (SourceError, ErrorEffect.UNKNOWN, Then.AGAIN),
    (errors.CredentialsError, ErrorEffect.NONE, Then.PAUSE),
    (errors.MaintenanceError, ErrorEffect.NONE, Then.PAUSE),
    (errors.ThrottledError, ErrorEffect.NONE, Then.PAUSE),
    # No pause: moves and deletes must go on, as deletes make room.
    (errors.QuotaExceededError, ErrorEffect.UNKNOWN, Then.QUARANTINE),
    (errors.NotAStorageError, ErrorEffect.UNKNOWN, Then.PAUSE),
    (errors.BusyError, ErrorEffect.UNKNOWN, Then.AGAIN),
    (errors.UnavailableError, ErrorEffect.UNKNOWN, Then.PAUSE_AND_COUNT),
    (errors.PreconditionFailedError, ErrorEffect.UNKNOWN, Then.AGAIN),
    (errors.AlreadyExistsError, ErrorEffect.UNKNOWN, Then.AGAIN),
    (errors.NotFoundError, ErrorEffect.UNKNOWN, Then.AGAIN),
    (errors.IntegrityError, ErrorEffect.UNKNOWN, Then.AGAIN),
    (errors.InvalidNameError, ErrorEffect.NONE, Then.QUARANTINE),
    (errors.NameRefusedError, ErrorEffect.NONE, Then.QUARANTINE),
    (errors.LockedError, ErrorEffect.UNKNOWN, Then.QUARANTINE),
    (errors.TooLargeError, ErrorEffect.NONE, Then.QUARANTINE),
    (errors.FileAccessError, ErrorEffect.NONE, Then.QUARANTINE),
    (Exception, ErrorEffect.UNKNOWN, Then.QUARANTINE),
)

TRIES_BEFORE_QUARANTINE = 3
"""How often a name is looked at again at once before it is left for a while."""

_LONGEST_PAUSE = 60.0
_CREDENTIALS_PAUSE = 1800.0
_QUOTA_REST = 300.0
_A_MOMENT = 1.0
_FIRST_QUARANTINE, _LONGEST_QUARANTINE = 30.0, 3600.0


def tried_together(operation: Operation) -> tuple[str, ...]:
    """Return the names that rest, and are looked at again, as one: a move has to stay a move."""
    if isinstance(operation, MoveFolder):
        return (operation.old_name, operation.new_name)
    return operation.names


def verdict(error: BaseException) -> ErrorRule:
    """Return what this error means."""
    for kind, effect, then in _POLICY:
        if isinstance(error, kind):
            return ErrorRule(effect, then)
    raise error


def pause_seconds(error: errors.StorageError, failures: int, first: float) -> float:
    """Return how long to send nothing after so many failures in a row: ``first``, then doubled.

    After a wrong password for as long as Nextcloud throttles an address (30 minutes): each further
    failed login would make it longer.
    """
    if isinstance(error, errors.CredentialsError):
        return _CREDENTIALS_PAUSE
    if error.retry_after is not None:
        return min(max(error.retry_after, 0.1), 3600.0)
    return float(min(first * 2 ** (failures - 1), _LONGEST_PAUSE))


def again_seconds(error: BaseException, settle: float) -> float:
    """Return after how long a name is looked at again: at once, or when its storage said so."""
    if not isinstance(error, errors.BusyError):
        return settle
    asked = _A_MOMENT if error.retry_after is None else error.retry_after
    return max(settle, min(asked, _LONGEST_QUARANTINE))


def quarantine_seconds(error: BaseException, attempts: int) -> float:
    """Return how long a file rests after so many attempts; where room is missing, always alike."""
    if isinstance(error, errors.QuotaExceededError):
        return _QUOTA_REST
    asked = getattr(error, "retry_after", None) or 0.0
    rest = max(asked, _FIRST_QUARANTINE * 2 ** min(attempts - 1, 10))
    return float(min(rest, _LONGEST_QUARANTINE))
