"""Waiting for leases, and what happens to them when things around them fail."""

from __future__ import annotations

import threading

import pytest
from tests.unit.lease_examples import Clock, Scripted, in_turn

from paperfleet.errors import LeaseError, LeaseLostError, LeaseTimeoutError
from paperfleet.locks.backends.memory import Memory, MemoryLeases
from paperfleet.locks.protocol import LeaseRefused
from paperfleet.locks.store import Leases
from paperfleet.running.leased import mirror_lease_name, stand_by


def test_an_error_of_the_store_reaches_the_caller() -> None:
    backend = Scripted()

    def fail() -> None:
        raise LeaseError("no answer")

    backend.on_take = fail
    with Leases(backend) as store, pytest.raises(LeaseError, match="no answer"):
        store.acquire("name", ttl=1, timeout=9)


def test_a_refusal_names_lease_store_and_holder() -> None:
    backend = Scripted()
    backend.on_take = lambda: LeaseRefused("host9 pid 12")
    with Leases(backend) as store:
        with pytest.raises(LeaseTimeoutError) as error:
            store.acquire("name", ttl=1, timeout=0.1)
        assert str(error.value) == "the lease 'name' on scripted is held by host9 pid 12"
        assert isinstance(error.value, TimeoutError)
    assert backend.calls.count("take") > 2


def test_timeout_zero_asks_once() -> None:
    backend = Scripted()
    backend.on_take = lambda: LeaseRefused("another")
    with Leases(backend) as store, pytest.raises(LeaseTimeoutError):
        store.acquire("name", ttl=1, timeout=0)
    assert backend.calls == ["take", "close"]


def test_without_a_keeper_there_is_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Scripted()

    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Leases(backend) as store:
        monkeypatch.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError):
            store.acquire("name", ttl=1, timeout=0)
    assert backend.calls == ["take", "release", "close"]


def test_a_lost_lease_is_not_entered_again() -> None:
    clock = Clock()
    with Leases(MemoryLeases(clock=clock), clock=clock) as store:
        with store.acquire("name", ttl=60, timeout=0) as outer:
            clock.add(61)
            with pytest.raises(LeaseLostError):
                store.acquire("name", ttl=60, timeout=0, reentrant=True)
            assert not outer.held()
            with store.acquire("name", ttl=60, timeout=0) as fresh:
                assert fresh.generation > outer.generation
        with store.acquire("name", ttl=60, timeout=0) as lease:
            lease.check()


def test_the_inner_release_keeps_the_outer_lease() -> None:
    backend = Scripted()
    with Leases(backend) as store, store.acquire("name", ttl=60, timeout=0) as outer:
        inner = store.acquire("name", ttl=60, timeout=0, reentrant=True)
        inner.release()
        inner.release()
        outer.check()
        assert backend.calls == ["take"]


def test_a_lease_is_released_at_an_exception_too() -> None:
    backend = Scripted()
    with (
        Leases(backend) as store,
        pytest.raises(ZeroDivisionError),
        store.acquire("name", ttl=60, timeout=0),
    ):
        _ = 1 / 0
    assert backend.calls == ["take", "release", "close"]


def test_a_forked_child_begins_afresh() -> None:
    backend = Scripted()
    store = Leases(backend)
    lease = store.acquire("name", ttl=60, timeout=0)
    store.forget()  # what the hook of os.register_at_fork calls in the child
    store.close()
    assert backend.calls == ["take", "forget", "close"], "the parent's lease is not released"
    assert lease.held(), "in the parent"


def test_texts_show_what_matters() -> None:
    with Leases(Scripted()) as store, store.acquire("name", ttl=60, timeout=0) as lease:
        assert repr(store) == "<Leases on scripted>"
        assert repr(lease) == "<Lease 'name' generation 1, held>"


def test_one_mirror_stands_by_and_takes_over() -> None:
    memory, told = Memory(), list[str]()
    one, two = Leases(MemoryLeases(memory)), Leases(MemoryLeases(memory))
    first = one.acquire("mirror", ttl=1, timeout=0)

    def on_wait(text: str) -> None:
        told.append(text)
        threading.Timer(0.2, first.release).start()

    second = stand_by(two, "mirror", ttl=1, on_wait=on_wait, stopped=lambda: False)
    assert second is not None
    with one, two, second:
        assert second.generation > first.generation
        (text,) = told
        assert text.startswith("standing by: the lease 'mirror' on memory is held by")


def test_standing_by_ends_when_it_is_told_to() -> None:
    memory = Memory()
    turns = iter([False, False, True])
    with Leases(MemoryLeases(memory)) as one, Leases(MemoryLeases(memory)) as two:
        one.acquire("mirror", ttl=0.3, timeout=0)
        lease = stand_by(
            two, "mirror", ttl=0.3, on_wait=lambda _: None, stopped=lambda: next(turns)
        )
        assert lease is None


def test_standing_by_outlasts_a_store_that_does_not_answer() -> None:
    backend, told = Scripted(), list[str]()
    backend.on_take = in_turn(failing, failing, lambda: LeaseRefused("another"), failing)
    with Leases(backend) as store:
        lease = stand_by(store, "mirror", ttl=0.15, on_wait=told.append, stopped=lambda: False)
    assert lease is not None
    assert [text.removeprefix("standing by: ")[:9] for text in told] == ["no answer"]


def failing() -> None:
    raise LeaseError("no answer")


def test_mirrors_of_one_target_share_a_name() -> None:
    name = mirror_lease_name("https://cloud.example/Archive")
    assert name == mirror_lease_name("https://cloud.example/Archive")
    assert name != mirror_lease_name("https://cloud.example/Archive2")
    assert name.isprintable()
    assert len(name) < 100
