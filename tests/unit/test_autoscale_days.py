"""Days of simulated fleets: what workers take, how they end, and what becomes of their tasks."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from bench.autoscale.arrivals import BURST_PAGES, DAY, Arrival, Day, day
from bench.autoscale.fleets import AT_THEIR_BEST, FLEETS, OURS, STOCK, TASK_LIMIT
from bench.autoscale.measured import FLEET, OCR_TIMES, measured_times
from bench.autoscale.scalers import WorkScaler
from bench.autoscale.simulation import Outcome, Simulation
from bench.autoscale.summary import Summary, percentile, picture
from bench.autoscale.times import TaskTimes, fitted
from tests.wide import WIDE

if TYPE_CHECKING:
    from bench.autoscale.fleets import Fleet
    from bench.autoscale.scalers import Scaler, Seen
    from bench.autoscale.tasks import Workers

pytestmark = WIDE  # what measures guards no document

MOST = 20
TIMES = TaskTimes(base=2, document=3, page=10, factors=(0.9, 1.0, 1.2))


class Told:
    """A scaler that is told when to have how many pods, and notes what it sees."""

    polling: float | None = None

    def __init__(self, *numbers: tuple[float, int]) -> None:
        self.least, self._numbers = numbers[0][1], numbers
        self.seen: list[tuple[float, Seen]] = []

    def sync(self, now: float, _current: int, seen: Seen) -> int:
        self.seen.append((now, seen))
        return [number for since, number in self._numbers if since <= now][-1]

    def poll(self, _now: float, current: int, _seen: Seen) -> int:
        return current

    def at(self, time: float) -> Seen:
        return next(seen for now, seen in self.seen if now >= time)


def live(today: Day, scaler: Scaler, workers: Workers, start: float = 20) -> Outcome:
    return Simulation(today, scaler, workers, base=2, start=start).run()


def uploads(number: int, at: float, seconds: float) -> Day:
    return Day(1, tuple(Arrival(at, "upload", 1, seconds) for _ in range(number)))


@pytest.mark.parametrize(("workers", "listed"), [(STOCK, 4), (AT_THEIR_BEST, 8), (OURS, 8)])
def test_the_list_shows_what_it_was_measured_to_show(workers: Workers, listed: int) -> None:
    """Of ten tasks one is done and one runs: celery was seen with 4 of 8 in its list, and 8."""
    scaler = Told((0, 1))
    live(uploads(10, 605, 100), scaler, workers)
    seen = scaler.at(730)
    assert (seen.listed, seen.work) == (listed, 9)
    assert scaler.at(605 + 1000 + 20).work == 0


def test_a_pod_that_is_told_to_end_gives_back_what_it_has_not_begun() -> None:
    scaler = Told((0, 1), (650, 0), (900, 1))
    outcome = live(uploads(3, 605, 60), scaler, replace(STOCK, grace=60))
    assert scaler.at(666).listed == 2
    assert scaler.at(666).work == 2
    assert [document.kills for document in outcome.documents] == [0, 0, 0]
    assert (outcome.stopped, outcome.stopped_busy) == (1, 1)
    waits = [document.begun - document.arrived for document in outcome.documents if document.begun]
    assert waits[0] == 0
    assert waits[1] >= 900 + 20 - 605


@pytest.mark.parametrize("again", [None, 55.0])
def test_a_worker_that_is_killed_loses_its_task_or_offers_it_again(again: float | None) -> None:
    scaler = Told((0, 1), (650, 0), (1300, 1))
    outcome = live(uploads(2, 605, 300), scaler, replace(STOCK, offered_again=again))
    first, second = outcome.documents
    assert (first.kills, second.kills) == (1, 0)
    assert first.lost == (again is None)
    assert (first.ended is None) == (again is None)
    assert second.ended is not None
    if first.ended is not None:
        assert first.ended < second.ended  # it is the next one that is taken
    assert Summary([outcome]).lost == int(again is None)


@pytest.mark.parametrize(("left", "kills"), [(29, 0), (100, 1)])
def test_only_the_end_of_the_grace_kills(left: float, kills: int) -> None:
    scaler = Told((0, 1), (700, 0), (1000, 1))
    stopped_at = next(now for now, _ in _syncs() if now >= 700)
    outcome = live(uploads(1, 605, stopped_at - 605 + left), scaler, STOCK)
    assert outcome.stopped_busy == 1
    assert Summary([outcome]).killed == kills


def _syncs() -> list[tuple[float, Seen]]:
    """Return when the HPA looks on the day of these tests: its phase comes from the seed."""
    scaler = Told((0, 1))
    live(uploads(1, 605, 100), scaler, STOCK)
    return scaler.seen


def test_a_fleet_of_no_pods_wakes_after_a_poll_and_a_start() -> None:
    outcome = live(uploads(1, 50_000, 60), WorkScaler(MOST, 1, 15), OURS)
    (wake,) = outcome.wakes
    assert 20 <= wake <= 35
    # Until the poll after the cooldown; the document ended 60 s after the wake-up.
    assert 300 + 60 <= outcome.pod_seconds <= 20 + 60 + 15 + 300 + 15 + 15


def test_mail_is_fetched_by_a_check_that_a_worker_runs() -> None:
    found = Day(1, (Arrival(1200, "mail", 1, 5), Arrival(1200, "mail", 1, 5)))
    outcome = live(found, Told((0, 1)), OURS)
    first, second = (document.begun for document in outcome.documents)
    assert (first, second) == (1202, 1207)
    asleep = live(found, Told((0, 0), (4000, 1)), OURS)
    begun = asleep.documents[0].begun
    assert begun is not None
    assert begun >= 4020
    expired = [chore for chore in asleep.chores if chore.arrived < 3000]
    assert all(chore.ended is None for chore in expired)
    assert len(expired) > 4


def test_a_day_that_never_ends_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="1 documents were never worked on"):
        live(uploads(1, 605, 10), Told((0, 0)), OURS)


@pytest.mark.parametrize("fleet", FLEETS, ids=lambda fleet: fleet.name)
def test_the_same_seed_gives_the_same_day(fleet: Fleet) -> None:
    today = day(5, TIMES, burst=True)
    assert today == day(5, TIMES, burst=True)
    assert today != day(6, TIMES, burst=True)
    one, other = (live(today, fleet.scaler(MOST), fleet.workers) for _ in range(2))
    assert _figures(one) == _figures(other)


def _figures(outcome: Outcome) -> object:
    tasks = [(task.begun, task.ended, task.kills) for task in outcome.documents]
    return tasks, outcome.pod_seconds, outcome.scale_downs, outcome.wakes, outcome.alive


def test_a_day_has_its_documents_in_order_and_within_the_limit() -> None:
    calm, busy = day(1, measured_times(), burst=False), day(1, measured_times(), burst=True)
    for today in (calm, busy):
        assert list(today.arrivals) == sorted(today.arrivals)
        assert all(0 <= arrival.at < DAY for arrival in today.arrivals)
        assert max(arrival.seconds for arrival in today.arrivals) < TASK_LIMIT
    assert {arrival.source for arrival in calm.arrivals} == {"mail", "upload"}
    burst = [arrival for arrival in busy.arrivals if arrival.source == "burst"]
    assert sum(arrival.pages for arrival in burst) == BURST_PAGES
    assert burst[-1].at - burst[0].at < 1200


def test_times_are_drawn_from_the_measured_ones() -> None:
    times = fitted(2, [(1, 14.0), (2, 24.0), (5, 54.0)])
    assert times.document == pytest.approx(4)
    assert times.page == pytest.approx(10)
    chance = random.Random(1)  # noqa: S311 (repeatable, no secret)
    assert times.draw(chance, 0) == 2
    assert times.draw(chance, 3) == pytest.approx(36)
    with pytest.raises(ValueError, match="s a page"):
        fitted(2, [(1, 20.0), (2, 10.0)])
    measured = measured_times()
    noted = json.loads(OCR_TIMES.read_text(encoding="utf-8"))["documents"]
    assert len(measured.factors) == len(noted) >= 20
    assert {1, 30} <= {one["pages"] for one in noted}
    assert all(0.7 < factor < 1.5 for factor in measured.factors)
    assert FLEET.exists()


def test_a_summary_adds_up_days() -> None:
    outcomes = [live(uploads(4, 605, 30), Told((0, 2)), OURS) for _ in range(2)]
    summary = Summary(outcomes)
    assert sorted(summary.waits) == [0.0] * 4 + [30.0] * 4
    assert summary.pod_hours == pytest.approx(48)
    assert percentile([0, 10], 50) == 5
    assert picture(outcomes[0], 16) == "▁" * 48
    assert picture(Outcome(), 16) == " " * 48
