"""Whether a Redis is another one: the scheduler's marks, as they pass by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from paperfleet.paperless.delivery.marks import FRESH, Marked, other_than

Redis = Callable[[int], str | None]


def verdict(in_redis: Redis, *, beats: int = 10, age: float = 0.0) -> tuple[str | None, float]:
    """Return what is said, and after how long, beside a scheduler that marks every ten seconds."""
    clock = [0.0]

    def step() -> int:
        return min(int(clock[0] // 10), beats)

    def marked() -> Marked:
        marks = tuple(f"mark {number}" for number in range(step() - 4, step() + 1))
        return Marked(marks, "one", age + clock[0] - 10 * step())

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    said = other_than(marked, lambda: in_redis(step()), sleep=sleep, now=lambda: clock[0])
    return said, clock[0]


SAME: dict[str, Redis] = {
    "as the database says": lambda step: f"mark {step}",
    "marked just now, which the database does not say yet": lambda step: f"mark {step or 1}",
    "of a scheduler that marks while it is looked": lambda step: f"mark {step - 3}",
    "emptied a moment ago": lambda step: f"mark {step}" if step else "",
    "emptied twice": lambda step: f"mark {step}" if step > 1 else "",
    "does not answer": lambda _: None,
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_redis_is_not_called_another_one(how: str) -> None:
    said, _ = verdict(SAME[how])
    assert said is None


def test_nothing_is_waited_for_where_all_is_well() -> None:
    assert verdict(SAME["as the database says"]) == (None, 0.0)


@pytest.mark.parametrize("found", ["", "mark of another fleet"])
def test_another_redis_is_known_by_the_marks_that_it_lacks(found: str) -> None:
    said, after = verdict(lambda _: found)
    assert (said, after) == ("one", 30.0)


def test_without_a_scheduler_nothing_is_said() -> None:
    assert verdict(lambda _: "", age=FRESH) == (None, 0.0)
    said, after = verdict(lambda _: "", beats=0)
    assert (said, after <= FRESH) == (None, True), "it ended just before"
    assert other_than(lambda: None, lambda: "") is None
