"""When it is worth another try to send what did not fit."""

from __future__ import annotations

import pytest

from paperfleet.errors import QuotaExceededError, UnavailableError
from paperfleet.mirror.room import LOOK_SECONDS, Room

FULL = QuotaExceededError("full")


@pytest.fixture
def room() -> Room:
    """Return one into which two files did not fit."""
    room = Room()
    room.failed("a", FULL)
    room.failed("b", FULL)
    room.failed("c", UnavailableError("of another kind"))
    return room


def tell(room: Room, free: int | None, now: float) -> None:
    assert room.question_is_due(now)
    room.asked(now)
    assert not room.question_is_due(now)
    room.told(free)


def test_nobody_is_asked_while_all_fits() -> None:
    room = Room()
    assert not room.question_is_due(0.0)
    assert room.again([]) == []


def test_more_room_than_before_is_worth_a_try_of_each_once(room: Room) -> None:
    tell(room, 10, 0.0)
    assert room.again(["a", "b", "c"]) == []
    tell(room, 10, LOOK_SECONDS)
    assert room.again(["a", "b", "c"]) == []
    tell(room, 11, 2 * LOOK_SECONDS)
    assert room.again(["a", "b", "c"]) == ["a", "b"]
    assert room.again(["a", "b", "c"]) == []


def test_a_limit_that_fell_is_worth_a_try(room: Room) -> None:
    tell(room, 10, 0.0)
    tell(room, None, LOOK_SECONDS)
    assert room.again(["a", "b"]) == ["a", "b"]


def test_where_nobody_knows_the_room_nothing_is_tried(room: Room) -> None:
    tell(room, None, 0.0)
    tell(room, None, LOOK_SECONDS)
    assert room.again(["a", "b"]) == []


def test_what_the_mirror_deletes_makes_room(room: Room) -> None:
    room.deleted()
    assert not room.question_is_due(0.0)
    assert room.again(["b"]) == ["b"]


def test_an_answer_that_comes_when_nothing_waits_is_worth_nothing(room: Room) -> None:
    tell(room, 10, 0.0)
    room.asked(LOOK_SECONDS)
    assert room.again([]) == []
    room.told(99)
    room.failed("d", FULL)
    assert room.again(["d"]) == []
