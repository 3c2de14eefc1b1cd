"""The life of an operation, as a table."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from paperfleet.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(enum.Enum):
    """Where an operation is. Only ``STORED`` states have a row; the others are its end."""

    RECORDED = "recorded"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"


class Step(enum.Enum):
    """What happens to an operation."""

    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    WITHDRAW = "withdraw"
    DOUBT = "doubt"
    SETTLE = "settle"


STORED: Final = frozenset({State.RECORDED, State.RUNNING})

TRANSITIONS: Final[Mapping[tuple[State, Step], State]] = {
    (State.RECORDED, Step.START): State.RUNNING,
    (State.RECORDED, Step.WITHDRAW): State.WITHDRAWN,
    (State.RUNNING, Step.COMPLETE): State.DONE,
    (State.RUNNING, Step.FAIL): State.FAILED,
    (State.RUNNING, Step.DOUBT): State.UNKNOWN,
    # After a crash nothing is certain: a power cut may have taken the start of a recorded one.
    (State.RECORDED, Step.SETTLE): State.UNKNOWN,
    (State.RUNNING, Step.SETTLE): State.UNKNOWN,
}


def next_state(state: State, step: Step) -> State:
    """Return the state after ``step``; raise ``JournalError`` when the table has no such step."""
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        reason = f"An operation that is {state.value} cannot {step.value}"
        raise JournalError(reason, hint="This is a fault in Paperfleet; please report it") from None
