"""What a holder knows of its lease, by its own clock."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

import pytest
from tests.unit.lease_examples import Clock, Scripted, in_turn

from paperfleet.errors import LeaseError, LeaseLostError
from paperfleet.locks import clock
from paperfleet.locks.hold import Hold
from paperfleet.locks.keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import Callable

TTL = 10.0


@pytest.fixture
def time() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


@pytest.fixture
def hold(backend: Scripted, time: Clock) -> Hold:
    return Hold(backend, "name", "owner", 7, ttl=TTL, asked=time(), clock=time)


def test_it_is_held_until_just_before_the_store_gives_it_away(hold: Hold, time: Clock) -> None:
    time.add(9.89)
    assert hold.why_not() == ""
    time.add(0.02)
    assert "not renewed within its 10 s" in hold.why_not()


def test_time_counts_from_the_question_not_the_answer(
    hold: Hold, backend: Scripted, time: Clock
) -> None:
    time.add(5)
    backend.on_renew = lambda: time.add(3)
    hold.renew()
    assert hold.expires == pytest.approx(1005 + 9.9)


def test_an_answer_that_comes_too_late_revives_nothing(
    hold: Hold, backend: Scripted, time: Clock
) -> None:
    time.add(9)
    backend.on_renew = lambda: time.add(1)
    hold.renew()
    with pytest.raises(LeaseLostError):
        hold.check()


def test_what_has_run_out_is_not_renewed(hold: Hold, backend: Scripted, time: Clock) -> None:
    time.add(11)
    hold.renew()
    assert backend.calls == []
    assert hold.why_not()


def test_once_lost_it_stays_lost(hold: Hold, time: Clock) -> None:
    time.add(11)
    assert hold.why_not()
    time.add(-11)
    assert hold.why_not()


def test_a_store_that_knows_it_no_more_ends_it(hold: Hold, backend: Scripted) -> None:
    backend.on_renew = lambda: False
    hold.renew()
    with pytest.raises(LeaseLostError, match="the lease 'name' on scripted is lost: the store no"):
        hold.check()


def test_a_store_that_does_not_answer_ends_nothing_yet(
    hold: Hold, backend: Scripted, time: Clock
) -> None:
    backend.on_renew = failing
    time.add(5)
    with pytest.raises(LeaseError):
        hold.renew()
    hold.check()
    time.add(5)
    with pytest.raises(LeaseLostError):
        hold.check()


def test_it_is_given_back_once_and_without_an_exception(
    hold: Hold, backend: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    backend.on_release = failing
    hold.release()
    hold.release()
    assert backend.calls == ["release"]
    assert "runs out by itself" in caplog.text
    with pytest.raises(LeaseLostError, match="released"):
        hold.check()


def test_it_belongs_to_one_process(
    hold: Hold, backend: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(LeaseLostError, match="forked"):
        hold.check()
    hold.renew()
    hold.release()
    assert backend.calls == []


def test_the_clock_counts_the_sleep_of_the_machine() -> None:
    import time as system

    assert clock.now() == pytest.approx(system.clock_gettime(system.CLOCK_BOOTTIME), abs=1)


def keep(
    backend: Scripted, ttl: float, on_lost: Callable[[LeaseLostError], object] | None
) -> tuple[Hold, Keeper]:
    hold = Hold(backend, "name", "owner", 7, ttl=ttl, asked=clock.now(), clock=clock.now)
    return hold, Keeper(hold, on_lost)


def test_the_keeper_tries_again_while_there_is_time(caplog: pytest.LogCaptureFixture) -> None:
    backend, answered = Scripted(), threading.Event()
    backend.on_renew = in_turn(failing, failing, answered.set)
    hold, keeper = keep(backend, 1.0, None)
    assert answered.wait(10)
    keeper.stop()
    hold.check()
    assert caplog.text.count("could not be renewed: no answer") == 2


def test_the_keeper_says_once_that_it_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    backend, told = Scripted(), threading.Event()
    lost: list[LeaseLostError] = []

    def on_lost(error: LeaseLostError) -> None:
        lost.append(error)
        told.set()

    backend.on_renew = failing
    hold, _ = keep(backend, 0.3, on_lost)
    assert told.wait(10)
    calls = len(backend.calls)
    assert not threading.Event().wait(0.4)
    assert len(backend.calls) == calls, "the heart has stopped"
    assert [str(error) for error in lost] == [caplog.records[-1].message]
    assert caplog.records[-1].levelno == logging.ERROR
    assert hold.why_not()


def test_a_stopped_keeper_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    lost: list[LeaseLostError] = []
    hold, keeper = keep(Scripted(), 0.2, lost.append)
    keeper.stop()
    hold.release()
    assert not threading.Event().wait(0.4)
    assert lost == []
    assert caplog.records == []


def failing() -> None:
    raise LeaseError("no answer")
