"""Questions to the target as a whole: what is asked when, and what an answer does."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from paperfleet.errors import CredentialsError, FileAccessError, UnavailableError
from paperfleet.mirror.busy import TouchedNames
from paperfleet.mirror.contact import Contact, Question
from paperfleet.mirror.finding import TargetFinding
from paperfleet.mirror.room import Room
from paperfleet.model import NINE_METHODS, KnownFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paperfleet.mirror.events import Notice

SWEEPS = replace(NINE_METHODS, sweep=True, free_space=True)


def row(name: str) -> KnownFile:
    return KnownFile(name, name, 3, "ab" * 32, 1, "1", None, "etag")


class Stage:
    """Plays pool, queue, journal, status and target; an answer comes when the test says so."""

    label = "the target"
    capabilities = SWEEPS

    def __init__(self) -> None:
        self.sweep_due, self.doubts = True, 0
        self.room = Room()
        self.notices: list[str] = []
        self.asked: list[str] = []
        self.rows: dict[str, KnownFile] = {}
        self.busy_names: set[str] = set()
        self.touched: TouchedNames | None = None
        self.failure: Exception | None = None
        self.woken = 0
        self._futures: list[tuple[Future[Any], Callable[[], Any]]] = []
        anything = cast("Any", self)
        self.contact = Contact(
            anything, anything, anything, anything, anything, self._wake, self._prove_apart
        )
        self.finding = TargetFinding([])
        self.contact._check = anything

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._futures.append((future, function))
        return future

    def answer(self) -> None:
        """Let all threads do their work."""
        futures, self._futures = self._futures, []
        for future, function in futures:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  # as the pool does
                future.set_exception(error)

    def _wake(self) -> None:
        self.woken += 1

    def _prove_apart(self) -> None:
        self.asked.append("apart")

    def watch(self) -> TouchedNames:
        self.touched = TouchedNames()
        return self.touched

    def unwatch(self) -> None:
        self.touched = None

    def busy(self, name: str) -> bool:
        return name in self.busy_names

    def known_at(self, names: Iterable[str]) -> dict[str, KnownFile]:
        return {name: self.rows[name] for name in names if name in self.rows}

    def swept(self, *, claims: bool) -> None:
        assert not claims
        self.sweep_due = False

    def report(self, event: Notice) -> None:
        self.notices.append(event.text)

    def check(self) -> TargetFinding:
        self.asked.append("listing")
        return self.finding

    def sweep(self, older_than: float) -> int:
        self.asked.append("sweep")
        assert older_than == 0.0
        if self.failure:
            raise self.failure
        return 1

    def exists(self, name: str) -> bool:
        self.asked.append(f"exists {name}")
        return False

    def free_bytes(self) -> int:
        self.asked.append("room")
        if self.failure:
            raise self.failure
        return 7


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_the_first_question_proves_apart_sweeps_and_lists(stage: Stage) -> None:
    stage.contact.ask(Question.FIRST)
    assert stage.asked == []
    assert stage.contact.collect() == []
    stage.answer()
    assert stage.asked == ["apart", "sweep", "listing"]
    assert stage.woken == 1
    (answer,) = stage.contact.collect()
    assert answer.finding == stage.finding
    assert not answer.partial
    assert not stage.sweep_due
    assert stage.touched is None


def test_one_question_of_a_kind_at_a_time(stage: Stage) -> None:
    for _ in range(3):
        stage.contact.ask(Question.AWAKE)
    stage.contact.ask(Question.COMPARE)
    stage.answer()
    assert stage.asked == ["exists paperfleet", "sweep", "listing"]
    assert [one.question for one in stage.contact.collect()] == [Question.AWAKE, Question.COMPARE]


def test_nothing_is_swept_where_no_save_ended_in_doubt(stage: Stage) -> None:
    stage.sweep_due = False
    stage.contact.ask(Question.COMPARE)
    stage.answer()
    assert stage.asked == ["listing"]
    stage.contact.collect()
    assert not stage.sweep_due


def test_what_ended_in_doubt_during_a_sweep_waits_for_the_next(stage: Stage) -> None:
    stage.contact.ask(Question.COMPARE)
    stage.doubts += 1
    stage.answer()
    stage.contact.collect()
    assert stage.sweep_due


def test_a_sweep_that_fails_is_told_and_stays_due(stage: Stage) -> None:
    stage.failure = UnavailableError("2 of 3 could not be removed")
    stage.contact.ask(Question.COMPARE)
    stage.answer()
    (answer,) = stage.contact.collect()
    assert answer.finding is not None
    assert stage.sweep_due
    assert stage.notices == ["Temporary files stay at the target: 2 of 3 could not be removed"]


def test_a_refused_login_in_a_sweep_is_an_error_of_the_target(stage: Stage) -> None:
    stage.failure = CredentialsError("wrong password")
    stage.contact.ask(Question.COMPARE)
    stage.answer()
    (answer,) = stage.contact.collect()
    assert answer.error is stage.failure
    assert stage.asked == ["sweep"]
    assert stage.touched is None


def test_a_contradiction_counts_when_nothing_is_under_way_for_its_name(stage: Stage) -> None:
    stage.finding = TargetFinding([row("a"), row("b"), row("c"), row("d"), row("untouched")])
    stage.rows = {name: row(name) for name in "abcd"}
    stage.contact.ask(Question.COMPARE)
    assert stage.touched is not None
    stage.touched.add("abcd")
    stage.touched.proven.add("d")
    stage.busy_names = {"a", "b"}
    stage.answer()
    (answer,) = stage.contact.collect()
    assert answer.partial
    assert answer.finding is not None
    assert [known.name for known in answer.finding.doubtful] == ["untouched"]
    assert [known.name for known in stage.contact.contradicted()] == ["c"]
    assert stage.contact.unclear
    assert stage.contact.contradicted() == []
    stage.busy_names = set()
    stage.rows["a"] = row("a")._replace(target_etag="of its new content")
    assert [known.name for known in stage.contact.contradicted()] == ["b"]
    assert not stage.contact.unclear


def test_the_room_is_asked_for_while_something_does_not_fit(stage: Stage) -> None:
    stage.contact.ask_for_room()
    stage.answer()
    assert stage.asked == []


@pytest.mark.parametrize(
    ("failure", "told"),
    [(UnavailableError("gone"), True), (FileAccessError("not for you"), False)],
)
def test_whoever_may_not_ask_for_the_room_goes_on(
    stage: Stage, failure: Exception, told: bool
) -> None:
    stage.failure = failure
    stage.contact.ask(Question.ROOM)
    stage.answer()
    (answer,) = stage.contact.collect()
    assert (answer.error is failure) == told
