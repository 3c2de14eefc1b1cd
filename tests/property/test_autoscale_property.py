"""Any arrivals in any fleet: no document gets lost but by a kill, no pod is one too many."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.autoscale.arrivals import DAY, Arrival, Day
from bench.autoscale.fleets import FLEETS, LIST_TODAY, OURS, Fleet
from bench.autoscale.scalers import WorkScaler
from bench.autoscale.simulation import Outcome, Simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wide import WIDE

pytestmark = [WIDE, pytest.mark.property]  # what measures guards no document

MOST = 20
# All within the opening hours of a cron trigger; a last one late enough that mail is fetched.
SECONDS = st.floats(1, 1700)
ARRIVAL = st.builds(
    Arrival, st.floats(40_000, 48_000), st.sampled_from(["mail", "upload"]), st.just(1), SECONDS
)
DAYS = st.builds(
    lambda seed, found: Day(seed, tuple(sorted(found))),
    st.integers(0, 9),
    st.lists(ARRIVAL, min_size=1, max_size=60),
)


def live(fleet: Fleet, day: Day, start: float) -> Outcome:
    return Simulation(day, fleet.scaler(MOST), fleet.workers, base=2, start=start).run()


@settings(max_examples=40)
@given(DAYS, st.sampled_from(FLEETS), st.sampled_from([0.0, 20.0, 400.0]))
def test_each_document_ends_once_or_is_counted(day: Day, fleet: Fleet, start: float) -> None:
    outcome = live(fleet, day, start)
    assert len(outcome.documents) == len(day.arrivals)
    for document in outcome.documents:
        assert document.begun is not None
        assert document.begun >= document.arrived
        assert (document.ended is None) == document.lost
        assert not document.lost or document.kills == 1
        # A grace period is as long as it was said to be: shorter tasks end within it.
        assert not document.kills or document.seconds > fleet.workers.grace
        if document.ended is not None and not document.kills:
            assert abs(document.ended - document.begun - document.seconds) < 1e-6
    assert outcome.most <= MOST
    assert outcome.stopped_busy <= outcome.stopped
    ended = [document for document in outcome.documents if document.ended is not None]
    if all(document.ended is not None and document.ended <= DAY for document in ended):
        assert outcome.pod_seconds >= sum(document.seconds for document in ended) - 1e-3


@settings(max_examples=20)
@given(DAYS, st.sampled_from([fleet for fleet in FLEETS if fleet.name != LIST_TODAY]))
def test_a_grace_of_the_longest_task_kills_nothing(day: Day, fleet: Fleet) -> None:
    patient = fleet._replace(workers=OURS)
    outcome = live(patient, day, 20)
    assert [document.kills for document in outcome.documents] == [0] * len(outcome.documents)


@settings(max_examples=20)
@given(DAYS)
def test_what_is_killed_runs_again_where_it_is_offered_again(day: Day) -> None:
    """Workers that have no time at all to end: with rows and late acknowledgement all is done."""
    hasty = replace(OURS, grace=0)
    scaler = WorkScaler(MOST, 1, 15, least=1)
    outcome = Simulation(day, scaler, hasty, base=2, start=20).run()
    assert all(document.ended is not None for document in outcome.documents)
    for document in outcome.documents:
        if document.kills and document.begun is not None and document.ended is not None:
            assert document.ended - document.begun >= document.seconds + 55
