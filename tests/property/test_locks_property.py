"""Whatever the clocks show and however slow the network is, there is one holder at most."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.lease_examples import Clock
from tests.wide import QUICK

from paperfleet.errors import LeaseError
from paperfleet.locks.backends.memory import Memory, MemoryLeases
from paperfleet.locks.hold import Hold
from paperfleet.locks.protocol import Granted, LeaseRefused

pytestmark = pytest.mark.property

TTL = 10.0
HOLDERS = st.integers(0, 1)
SECONDS = st.sampled_from([0.5, 1.0, 5.0, 9.98])
DELAYS = st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.05, 9.0])
OFFSETS = st.sampled_from([0.0, 1e6])
# Of two clocks with these rates neither is 1 % faster than the other.
RATES = st.sampled_from([0.9955, 1.0, 1.0045])
LOST = st.sampled_from([False, False, False, True])


def shown(time: Clock, rate: float, offset: float) -> float:
    """Return what a clock shows that runs at this rate."""
    return time() * rate + offset


class Remote:
    """A store across a network: time passes on the way there and on the way back."""

    label = "remote"

    def __init__(self, store: MemoryLeases, time: Clock) -> None:
        self._store, self._time = store, time
        self.there = self.back = 0.0
        self.answer_lost = False

    def take(self, name: str, owner: str, ttl: float) -> Granted | LeaseRefused:
        self._time.add(self.there)
        answer = self._store.take(name, owner, ttl)
        self._return()
        return answer

    def renew(self, name: str, owner: str, generation: int, ttl: float) -> bool:
        self._time.add(self.there)
        renewed = self._store.renew(name, owner, generation, ttl)
        self._return()
        return renewed

    def release(self, name: str, owner: str, generation: int) -> None:
        self._time.add(self.there)
        self._store.release(name, owner, generation)
        self._return()

    def _return(self) -> None:
        self._time.add(self.back)
        if self.answer_lost:
            raise LeaseError("no answer")

    def forget(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class OneHolder(RuleBasedStateMachine):
    """Two hosts, whose clocks differ from each other and from the store's."""

    @initialize(
        rates=st.tuples(RATES, RATES, RATES),
        offsets=st.tuples(OFFSETS, OFFSETS, OFFSETS),
    )
    def begin(self, rates: tuple[float, ...], offsets: tuple[float, ...]) -> None:
        self.time = Clock()
        clocks = [
            partial(shown, self.time, rate, offset)
            for rate, offset in zip(rates, offsets, strict=True)
        ]
        self.remote = Remote(MemoryLeases(Memory(), clock=clocks[2]), self.time)
        self.clocks = clocks[:2]
        self.holds: list[Hold | None] = [None] * 2
        self.owners = 0
        self.last = 0

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.time.add(seconds)

    @rule(number=HOLDERS, there=DELAYS, back=DELAYS, lost=LOST)
    def take(self, number: int, there: float, back: float, *, lost: bool) -> None:
        self.remote.there, self.remote.back, self.remote.answer_lost = there, back, lost
        hold = self.holds[number]
        if hold is not None and not hold.why_not():
            return
        clock, self.owners = self.clocks[number], self.owners + 1
        owner, asked = f"owner {self.owners}", clock()
        try:
            answer = self.remote.take("name", owner, TTL)
        except LeaseError:
            return
        if isinstance(answer, Granted):
            assert answer.generation > self.last
            self.last = answer.generation
            self.holds[number] = Hold(
                self.remote, "name", owner, answer.generation, ttl=TTL, asked=asked, clock=clock
            )

    @rule(there=DELAYS, back=DELAYS, lost=LOST)
    def renew(self, there: float, back: float, *, lost: bool) -> None:
        self.remote.there, self.remote.back, self.remote.answer_lost = there, back, lost
        for hold in self._held():
            with suppress(LeaseError):
                hold.renew()

    @rule(lost=LOST)
    def release(self, *, lost: bool) -> None:
        self.remote.there, self.remote.back, self.remote.answer_lost = 0.0, 0.0, lost
        for hold in self._held():
            hold.release()

    def _held(self) -> list[Hold]:
        return [hold for hold in self.holds if hold is not None and not hold.why_not()]

    @precondition(lambda self: hasattr(self, "holds"))
    @invariant()
    def there_is_one_holder_at_most(self) -> None:
        held = self._held()
        assert len(held) <= 1
        assert all(hold.generation == self.last for hold in held)


TestOneHolder = OneHolder.TestCase
TestOneHolder.settings = settings(stateful_step_count=30, max_examples=50 if QUICK else 300)


def hosts(*rates: float) -> OneHolder:
    machine = OneHolder()
    machine.begin(rates=rates, offsets=(0.0, 0.0, 0.0))
    return machine


def test_a_holder_whose_clock_is_slow_gives_up_before_a_fast_store_does() -> None:
    machine = hosts(0.9955, 1.0, 1.0045)
    machine.take(0, 0.0, 0.0, lost=False)
    machine.time_passes(9.98)
    machine.take(1, 0.0, 0.0, lost=False)
    assert [hold.generation for hold in machine._held()] == [2]


def test_an_answer_that_was_long_on_its_way_counts_from_the_question() -> None:
    machine = hosts(1.0, 1.0, 1.0)
    machine.take(0, 0.0, 0.0, lost=False)
    machine.renew(0.0, 9.0, lost=False)
    machine.time_passes(5.0)
    machine.take(1, 0.0, 0.0, lost=False)
    assert [hold.generation for hold in machine._held()] == [2]
