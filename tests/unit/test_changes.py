"""Hinted names settle, together with their partners, and nothing is lost or held for ever."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperfleet.mirror.watch.changes import EVERYTHING, SOMEWHERE, Changes, Hint
from paperfleet.storage.names import is_below

if TYPE_CHECKING:
    from collections.abc import Callable, Container

SETTLE = 0.1
OPEN = 5.0


@pytest.fixture
def changes() -> Changes:
    return Changes(SETTLE, OPEN)


def renamed(old: str, new: str) -> list[Hint]:
    return [Hint(old, partner=new), Hint(new, partner=old)]


def test_a_name_settles_after_its_last_hint(changes: Changes) -> None:
    changes.add([Hint("a")], 0.0)
    changes.add([Hint("a")], 0.08)
    assert changes.take(0.1) == []
    assert changes.next_due(0.1) == pytest.approx(0.08)
    assert changes.take(0.19) == ["a"]
    assert changes.take(9.0) == []
    assert changes.next_due(9.0) is None


def test_the_longest_settled_comes_first(changes: Changes) -> None:
    changes.add([Hint("b")], 0.0)
    changes.add([Hint("a")], 0.01)
    assert changes.take(1.0) == ["b", "a"]


def test_an_open_file_waits_until_it_is_closed(changes: Changes) -> None:
    changes.add([Hint("a", open=True)], 0.0)
    assert changes.take(4.9) == []
    changes.add([Hint("a")], 4.9)
    assert changes.take(4.95) == []
    assert changes.next_due(4.95) == pytest.approx(0.05)
    assert changes.take(5.0) == ["a"]


def test_an_open_file_that_is_not_written_any_more_settles(changes: Changes) -> None:
    changes.add([Hint("a", open=True)], 0.0)
    changes.add([Hint("a", open=True)], 2.0)
    assert changes.take(6.9) == []
    assert changes.take(7.0) == ["a"]


def test_a_name_renamed_to_nobody_knows_where_waits_twice_as_long(changes: Changes) -> None:
    changes.add([Hint("a", partner=SOMEWHERE)], 0.0)
    assert changes.take(0.19) == []
    assert changes.take(0.2) == ["a"]


class TestPartners:
    def test_both_or_none(self, changes: Changes) -> None:
        changes.add(renamed("old", "new"), 0.0)
        changes.add([Hint("new", open=True)], 0.05)
        assert changes.take(1.0) == []
        assert changes.unsettled("old")
        changes.add([Hint("new")], 1.0)
        assert sorted(changes.take(1.1)) == ["new", "old"]
        assert not changes.unsettled("old")

    def test_the_other_half_is_looked_at_though_nobody_hinted_at_it(self, changes: Changes) -> None:
        changes.add([Hint("new", partner="old")], 0.0)
        assert sorted(changes.take(0.1)) == ["new", "old"]

    def test_a_chain_of_renames_is_one(self, changes: Changes) -> None:
        changes.add(renamed("a", "b"), 0.0)
        changes.add(renamed("b", "c"), 0.05)
        assert changes.take(0.12) == []
        assert sorted(changes.take(0.16)) == ["a", "b", "c"]

    def test_a_file_that_is_written_without_end_holds_back_nothing_else(
        self, changes: Changes
    ) -> None:
        changes.add(renamed("log", "log.1"), 0.0)
        for second in range(12):
            changes.add([Hint("log", open=True)], float(second))
            if second < 2 * OPEN:
                assert changes.take(second + 0.5) == []
        assert changes.take(11.5) == ["log.1"]
        assert changes.unsettled("log")
        changes.add([Hint("log.1")], 11.6)
        assert changes.take(11.8) == ["log.1"], "the rename is forgotten"

    def test_names_below_a_renamed_folder_wait_for_it(self, changes: Changes) -> None:
        changes.add([Hint("old/x")], 0.0)
        changes.add(renamed("old", "new"), 0.09)
        assert changes.take(0.12) == []
        assert changes.unsettled("new/y")
        assert changes.unsettled("old/x")
        assert sorted(changes.take(0.3)) == ["new", "old"]
        assert not changes.unsettled("old/x")
        assert len(changes) == 0

    def test_renames_that_lie_in_each_other_settle_with_the_last(self, changes: Changes) -> None:
        changes.add(renamed("a/b", "d"), 0.0)
        changes.add(renamed("a", "a/b/c"), 0.03)
        assert changes.take(0.1) == []
        assert changes.next_due(0.1) == pytest.approx(0.03)
        assert sorted(changes.take(0.13)) == ["a", "d"]
        assert len(changes) == 0

    def test_partners_of_what_was_taken_are_free(self, changes: Changes) -> None:
        changes.add(renamed("a", "b"), 0.0)
        changes.take(1.0)
        changes.add([Hint("a", open=True), Hint("b")], 2.0)
        assert changes.take(2.2) == ["b"]


class TestFolders:
    def test_a_name_whose_folder_is_taken_is_dropped(self, changes: Changes) -> None:
        changes.add([Hint("a/b/c"), Hint("a"), Hint("ab/c")], 0.0)
        assert sorted(changes.take(1.0)) == ["a", "ab/c"]
        assert len(changes) == 0

    def test_an_unsettled_name_stays_though_its_folder_is_taken(self, changes: Changes) -> None:
        changes.add([Hint("a"), Hint("a/open", open=True)], 0.0)
        assert changes.take(1.0) == ["a"]
        assert changes.unsettled("a/open")
        assert not changes.unsettled("a")
        assert not changes.unsettled("a/other")
        assert changes.take(5.0) == ["a/open"]


class TestEverything:
    def test_collapses_what_has_settled(self, changes: Changes) -> None:
        changes.add([Hint("a"), Hint("b", open=True), Hint(EVERYTHING)], 0.0)
        assert changes.take(1.0) == [EVERYTHING]
        assert not changes.unsettled("a")
        assert changes.unsettled("b")
        assert changes.take(5.0) == ["b"]

    def test_is_not_put_off_by_asking_for_it_again(self, changes: Changes) -> None:
        for tick in range(10):
            changes.add([Hint(EVERYTHING)], tick * 0.05)
        assert changes.take(0.5) == [EVERYTHING]

    def test_put_back_holds_back_nothing_else(self, changes: Changes) -> None:
        changes.put_back([EVERYTHING], 0.0, 60.0)
        changes.add([Hint("a")], 0.0)
        assert changes.take(0.1) == ["a"]
        assert changes.take(60.0) == [EVERYTHING]


class TestBusy:
    def test_stays_with_its_partners_and_is_asked_again(self, changes: Changes) -> None:
        changes.add([*renamed("a", "b"), Hint("c")], 0.0)
        assert changes.take(0.2, {"b"}.__contains__) == ["c"]
        due = changes.next_due(0.2)
        assert due is not None
        assert due == pytest.approx(SETTLE), "soon, yet not at once: nobody is to spin"
        assert sorted(changes.take(0.2 + due)) == ["a", "b"]

    def test_without_settling_time_nobody_spins(self) -> None:
        changes = Changes(settle=0.0)
        changes.add([Hint("a")], 0.0)
        assert changes.take(0.0, lambda _: True) == []
        due = changes.next_due(0.0)
        assert due is not None
        assert due > 0.01


class TestPutBack:
    def test_comes_after_the_delay(self, changes: Changes) -> None:
        changes.put_back(["a"], 0.0, 30.0)
        assert changes.unsettled("a")
        assert changes.take(29.0) == []
        assert changes.take(30.0) == ["a"]

    def test_the_earlier_of_two_counts(self, changes: Changes) -> None:
        changes.put_back(["a"], 0.0, 30.0)
        changes.put_back(["a"], 1.0, 2.0)
        changes.put_back(["a"], 1.0, 60.0)
        assert changes.next_due(1.0) == pytest.approx(2.0)
        assert changes.take(3.0) == ["a"]

    def test_a_hint_comes_before_the_delay(self, changes: Changes) -> None:
        changes.put_back(["a"], 0.0, 30.0)
        changes.add([Hint("a")], 1.0)
        assert changes.take(1.1) == ["a"]

    def test_a_new_hint_decides(self, changes: Changes) -> None:
        changes.add([Hint("a", open=True)], 0.0)
        changes.put_back(["a"], 0.5, 0.1)
        assert changes.take(1.0) == []

    def test_a_long_delay_does_not_use_up_the_patience_with_partners(
        self, changes: Changes
    ) -> None:
        changes.put_back(["a"], 0.0, 1000.0)
        changes.add([*renamed("a", "b"), Hint("b", open=True)], 500.0)
        assert changes.take(501.0) == []


class Observed:
    """Changes with a clock of their own, and the names that have not been looked at since."""

    def __init__(self) -> None:
        self.changes = Changes(SETTLE, OPEN)
        self.now = 0.0
        self.unseen: set[str] = set()

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def hint(self, name: str, is_open: bool) -> None:
        self.changes.add([Hint(name, is_open)], self.now)
        self.unseen.add(name)

    def rename(self, old: str, new: str) -> None:
        self.changes.add(renamed(old, new), self.now)
        self.unseen |= {old, new}

    def put_back(self, name: str, delay: float) -> None:
        self.changes.put_back([name], self.now, delay)
        self.unseen.add(name)

    def take(self, busy: Container[str] = ()) -> None:
        taken = self.changes.take(self.now, busy.__contains__)
        assert len(set(taken)) == len(taken)
        assert not any(name in busy for name in taken)
        for name in list(self.unseen):
            scanned = any(is_below(name, folder) or name == folder for folder in taken)
            if scanned and not self.changes.unsettled(name):
                self.unseen.discard(name)


FILES = st.sampled_from(["a", "a/b", "a/b/c", "d", "d/e", "f"])
NAMES = st.one_of(FILES, st.just(EVERYTHING))
STEPS = st.one_of(
    st.builds(lambda name, is_open: lambda o: o.hint(name, is_open), NAMES, st.booleans()),
    st.builds(lambda old, new: lambda o: o.rename(old, new), FILES, FILES),
    st.builds(lambda n, d: lambda o: o.put_back(n, d), NAMES, st.sampled_from([0.0, 0.3, 20.0])),
    st.builds(lambda seconds: lambda o: o.wait(seconds), st.sampled_from([0.03, 0.1, 1.0, 6.0])),
    st.builds(lambda busy: lambda o: o.take(busy), st.sets(NAMES)),
)


@given(st.lists(STEPS, max_size=40))
@settings(max_examples=3 * settings().max_examples)
def test_whatever_happens_each_hint_is_followed_by_a_look(
    steps: list[Callable[[Observed], None]],
) -> None:
    observed = Observed()
    for step in steps:
        step(observed)
    for _ in range(100):
        due = observed.changes.next_due(observed.now)
        if due is None:
            break
        observed.wait(due)
        observed.take()
    assert len(observed.changes) == 0
    assert not observed.unseen


def test_a_burst_of_100_000_hints_costs_little() -> None:
    changes = Changes(SETTLE, OPEN)
    started = time.process_time()
    for number in range(100_000):
        now = number * 1e-5
        changes.add([Hint(f"folder{number % 100}/{number // 10}", open=number % 2 == 0)], now)
        if number % 1000 == 0:
            changes.take(now)
            changes.next_due(now)
    taken = changes.take(100.0)
    assert len(taken) == len(set(taken)) > 9_000
    assert time.process_time() - started < 20.0, "a quadratic one would take minutes"


def test_a_long_chain_of_renames_costs_little() -> None:
    changes = Changes(SETTLE, OPEN)
    started = time.process_time()
    for number in range(20_000):
        changes.add(renamed(f"n{number}", f"n{number + 1}"), number * 1e-4)
        if number % 100 == 0:
            changes.take(number * 1e-4)
    changes.take(10.0)
    assert len(changes) == 0
    assert time.process_time() - started < 20.0
