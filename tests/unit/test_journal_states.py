"""Every step that an operation can be asked to take, from the table of transitions."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from paperfleet.errors import JournalError
from paperfleet.journal.journal import Journal
from paperfleet.journal.operations import (
    STORED,
    TRANSITIONS,
    OperationState,
    OperationStep,
    next_state,
)
from paperfleet.model import FileStat, Put

ENDED = set(OperationState) - STORED
ALL = list(product(OperationState, OperationStep))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", source="s", target="t") as opened:
        yield opened


def take(journal: Journal, operation_id: int, step: OperationStep) -> None:
    match step:
        case OperationStep.START:
            journal.start([operation_id])
        case OperationStep.COMPLETE:
            journal.complete(operation_id)
        case OperationStep.FAIL:
            journal.fail(operation_id)
        case OperationStep.WITHDRAW:
            journal.withdraw([operation_id])
        case OperationStep.DOUBT:
            journal.doubt(operation_id)
        case OperationStep.SETTLE:
            journal.settle_leftovers()


def states(journal: Journal) -> list[str]:
    return [operation.state for operation in journal.pending()]


@pytest.mark.parametrize(("state", "step"), ALL)
def test_only_the_table_allows_a_step(state: OperationState, step: OperationStep) -> None:
    if (state, step) in TRANSITIONS:
        assert next_state(state, step) is TRANSITIONS[state, step]
    else:
        with pytest.raises(JournalError, match=f"{state.value} cannot {step.value}"):
            next_state(state, step)


def test_nothing_follows_an_end_and_every_end_is_reached() -> None:
    assert {state for state, _ in TRANSITIONS} == STORED
    assert set(TRANSITIONS.values()) == ENDED | {OperationState.RUNNING}


@pytest.mark.parametrize(("state", "step"), [(s, step) for s, step in ALL if s in STORED])
def test_the_journal_follows_the_table(
    journal: Journal, state: OperationState, step: OperationStep
) -> None:
    stat = FileStat("a.pdf", 1, sha256="ab" * 32)
    [operation_id] = journal.record([Put(stat, "a.pdf", "created")])
    if state is OperationState.RUNNING:
        journal.start([operation_id])
    after = TRANSITIONS.get((state, step))
    if after is None:
        with pytest.raises(JournalError, match=f"cannot {step.value}"):
            take(journal, operation_id, step)
        assert states(journal) == [state.value]
    else:
        take(journal, operation_id, step)
        assert states(journal) == ([after.value] if after in STORED else [])
    assert journal.count_known() == (1 if after is OperationState.UNKNOWN else 0)


@pytest.mark.parametrize(
    "step", [step for step in OperationStep if step is not OperationStep.SETTLE]
)
def test_what_has_ended_takes_no_step(journal: Journal, step: OperationStep) -> None:
    [operation_id] = journal.record([Put(FileStat("a.pdf", 1), "a.pdf", "created")])
    journal.withdraw([operation_id])
    with pytest.raises(JournalError, match="has ended or was never recorded"):
        take(journal, operation_id, step)
