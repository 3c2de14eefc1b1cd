"""What the sweeper decides, row by row."""

from __future__ import annotations

import pytest

from paperfleet.paperless.delivery.states import (
    DONE,
    FAILED,
    HELD,
    RUNNING,
    WAITING,
    Action,
    DeliveryLimits,
    Discard,
    Expire,
    Fence,
    Offer,
    Seen,
    decide,
)
from paperfleet.paperless.delivery.tasks import CONSUME

LIMITS = DeliveryLimits(silence=45, unseen=60, deaths=3)
DELETE = "documents.bulk_edit.delete"


def row(state: str, name: str = CONSUME, **more: object) -> Seen:
    return Seen("1", name, state, **more)  # type: ignore[arg-type]  # as each case says


def once(seen: Seen, *queued: str) -> Action | None:
    found = list(decide([seen], frozenset(queued), LIMITS))
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (row(RUNNING, attempt=2, silent=45), None),
        (row(RUNNING, attempt=2, silent=45.1), Fence("1", 2)),
        (row(RUNNING, attempt=2, silent=99, deaths=1), Fence("1", 2)),
        (row(WAITING, offered=60), None),
        (row(WAITING, offered=61), Offer("1")),
        (row(WAITING, deaths=1, offered=15), None),
        (row(WAITING, deaths=1, offered=16), Offer("1")),
        (row(WAITING, offered=1, expired=True), Expire("1")),
        (row(RUNNING, silent=1, expired=True), None),
        (row(HELD), None),
        (row(HELD, orphaned=True), Discard("1")),
        (row(HELD, offered=9999), None),
        (row(DONE, offered=9999), None),
        (row(FAILED, offered=9999, silent=9999), None),
    ],
)
def test_a_row_alone(seen: Seen, expected: Action | None) -> None:
    assert once(seen) == expected


def test_what_the_broker_has_is_not_offered() -> None:
    assert once(row(WAITING, offered=9999), "1") is None


def test_a_broker_that_does_not_answer_has_lost_nothing() -> None:
    assert list(decide([row(WAITING, offered=9999)], None, LIMITS)) == []


def test_a_dead_worker_s_task_is_fenced_though_the_broker_has_it() -> None:
    assert once(row(RUNNING, silent=50), "1") == Fence("1", 0)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            row(RUNNING, silent=50, deaths=2),
            "3 workers died while they ran documents.tasks.consume",
        ),
        (row(RUNNING, DELETE, silent=50), "may be half done and is not repeated"),
    ],
)
def test_what_must_not_run_again_gets_a_reason(seen: Seen, words: str) -> None:
    action = once(seen)
    assert isinstance(action, Fence)
    assert words in action.reason


@pytest.mark.parametrize(("made", "condemned"), [(True, False), (False, True)])
def test_what_only_needs_its_end_is_tried_for_as_long_as_it_takes(
    *, made: bool, condemned: bool
) -> None:
    seen = row(RUNNING, silent=50, deaths=99, made=made, condemned=condemned)
    assert once(seen) == Fence("1", 0)
