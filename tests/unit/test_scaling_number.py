"""How much work there is, from what was read, case by case."""

from __future__ import annotations

import pytest

from paperfleet.paperless.delivery.broker import BrokerLook, QueuedMessage
from paperfleet.paperless.delivery.states import RowGroup
from paperfleet.paperless.delivery.tasks import CONSUME, SCHEDULED, TASKS
from paperfleet.paperless.scaling.number import ScalingFacts, counts, work

MAIL = "paperless_mail.tasks.process_mail_accounts"


def message(task_id: str, name: str = CONSUME, **more: bool) -> QueuedMessage:
    return QueuedMessage(task_id, name, **more)


def look(*messages: QueuedMessage, unread: int = 0) -> BrokerLook:
    return BrokerLook(messages, unread, len(messages) + unread)


ALONE = [
    pytest.param(look(), [], 0, id="nothing"),
    pytest.param(look(message("1"), message("2")), [], 2, id="waiting"),
    pytest.param(look(message("1"), message("1")), ["1"], 1, id="twice in the broker, and listed"),
    pytest.param(look(message("1")), ["2"], 2, id="one waits, one runs"),
    pytest.param(look(message("1", MAIL)), [], 0, id="of the scheduler"),
    pytest.param(look(message("1", "somebody.else")), [], 1, id="unknown"),
    pytest.param(look(message("1", "")), [], 1, id="nameless"),
    pytest.param(look(message("1", is_expired=True)), [], 0, id="expired"),
    pytest.param(look(message("1", has_row=True)), [], 1, id="there was a fleet, and is none"),
    pytest.param(look(message("1"), unread=7), [], 8, id="more than was looked at"),
]


@pytest.mark.parametrize(("broker", "listed", "expected"), ALONE)
def test_without_a_fleet(broker: BrokerLook, listed: list[str], expected: int) -> None:
    assert work(ScalingFacts(broker, listed=frozenset(listed))) == expected


FLEET = [
    pytest.param([], look(), 0, id="nothing"),
    pytest.param([RowGroup("waiting", CONSUME, 2)], look(), 2, id="their messages are lost"),
    pytest.param(
        [RowGroup("waiting", CONSUME, 1)], look(message("1", has_row=True)), 1, id="waiting"
    ),
    pytest.param(
        [RowGroup("running", CONSUME, 1)], look(message("1", has_row=True)), 1, id="running"
    ),
    pytest.param([], look(message("1", has_row=True)), 0, id="done, and its message is left"),
    pytest.param([], look(message("1")), 1, id="of before the fleet"),
    pytest.param([], look(message("1", MAIL)), 0, id="of before the fleet, of the scheduler"),
    pytest.param([RowGroup("waiting", MAIL, 3)], look(), 0, id="of the scheduler"),
    pytest.param([RowGroup("running", MAIL, 1)], look(), 0, id="of the scheduler, running"),
    pytest.param([RowGroup("waiting", CONSUME, 1, is_expired=True)], look(), 0, id="expired"),
    pytest.param(
        [RowGroup("running", CONSUME, 1, is_expired=True)], look(), 1, id="began before it expired"
    ),
    *(
        pytest.param([RowGroup(state, CONSUME, 1)], look(), 0, id=state)
        for state in ("held", "failed", "half")
    ),
    pytest.param(
        [RowGroup("waiting", CONSUME, 3)],
        look(message("1", has_row=True), unread=2),
        3,
        id="not looked at, and in the rows",
    ),
    pytest.param(
        [RowGroup("waiting", MAIL, 1)],
        look(message("1", MAIL, has_row=True), unread=2),
        2,
        id="not looked at, and in no row",
    ),
]


@pytest.mark.parametrize(("rows", "broker", "expected"), FLEET)
def test_in_a_fleet(rows: list[RowGroup], broker: BrokerLook, expected: int) -> None:
    assert work(ScalingFacts(broker, rows, is_fleet=True)) == expected


def test_all_but_what_the_scheduler_starts_counts() -> None:
    assert {name for name in TASKS if not counts(name)} == SCHEDULED
    assert counts(CONSUME)
    assert not counts(MAIL)
