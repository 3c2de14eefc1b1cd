"""The lease suite within one process: several stores stand for several hosts."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import uuid
from typing import TYPE_CHECKING, ClassVar

import pytest

from paperfleet.errors import ConfigurationError, LeaseError, LeaseLostError, LeaseTimeoutError
from paperfleet.testing.lease_child import open_store
from paperfleet.testing.suite_base import DeclaredExceptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.locks.protocol import Lease, LeaseStore

Open = "Callable[[], LeaseStore]"


class LeaseSuiteBase(DeclaredExceptions):
    """The fixtures that a subclass fills, and those made of them."""

    opener: ClassVar[str]
    ttl: ClassVar[float] = 1.0
    slack: ClassVar[float] = 2.0

    @pytest.fixture
    def address(self) -> str:
        """Return the address of a lease store."""
        raise NotImplementedError("the suite needs a fixture 'address'")

    @pytest.fixture
    def name(self) -> str:
        """Return a name that no other test uses."""
        return f"suite {uuid.uuid4()}"

    @pytest.fixture
    def another(self, address: str) -> Iterator[Callable[[], LeaseStore]]:
        """Yield what opens one more store at the address, as another host would."""
        with contextlib.ExitStack() as stack:
            yield lambda: stack.enter_context(open_store(self.opener, address))

    @pytest.fixture
    def store(self, another: Callable[[], LeaseStore]) -> LeaseStore:
        """Return an open store."""
        return another()

    def take(self, store: LeaseStore, name: str, timeout: float = 0) -> Lease:
        """Acquire with the suite's time."""
        return store.acquire(name, ttl=self.ttl, timeout=timeout)


class LeasesSuite(LeaseSuiteBase):
    """One process."""

    def test_a_free_lease_is_had_at_once(self, store: LeaseStore, name: str) -> None:
        with self.take(store, name) as lease:
            lease.check()
            lease.confirm()
            assert lease.held()
            assert lease.name == name
            assert lease.owner
            assert lease.generation > 0

    def test_what_is_held_is_refused_to_others(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str
    ) -> None:
        with self.take(store, name) as lease:
            with pytest.raises(LeaseTimeoutError, match=name) as refusal:
                self.take(another(), name)
            assert lease.owner in str(refusal.value), "it names the holder"

    def test_a_timeout_is_kept(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str
    ) -> None:
        other = another()
        with self.take(store, name):
            began = time.monotonic()
            with pytest.raises(LeaseTimeoutError):
                self.take(other, name, timeout=0.5)
            assert 0.45 < time.monotonic() - began < 0.5 + self.slack

    def test_what_is_released_is_had_by_the_next(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str
    ) -> None:
        lease = self.take(store, name)
        lease.release()
        assert not lease.held()
        with pytest.raises(LeaseLostError):
            lease.check()
        assert self.take(another(), name).held()

    def test_one_who_waits_gets_it_after_the_release(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str
    ) -> None:
        lease = self.take(store, name)
        threading.Timer(0.3, lease.release).start()
        began = time.monotonic()
        assert self.take(another(), name, timeout=30).held()
        assert time.monotonic() - began < 0.3 + self.slack

    def test_released_twice_does_not_release_the_next(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str
    ) -> None:
        first = self.take(store, name)
        first.release()
        second = self.take(another(), name)
        first.release()
        second.confirm()

    def test_generations_grow_with_each_holder(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str
    ) -> None:
        stores = [store, another()]
        seen = []
        for turn in range(20):
            with self.take(stores[turn % 2], name) as lease:
                seen.append(lease.generation)
        assert seen == sorted(set(seen))

    def test_names_are_independent(self, store: LeaseStore, name: str) -> None:
        with self.take(store, name) as one, self.take(store, name + " 2") as two:
            assert one.held()
            assert two.held()

    @pytest.mark.parametrize(
        "special",
        ["../up", "a/b", "a b", "ä ☃", "{x}", "'; DROP", '"', "%s", ":", "\\"],
    )
    def test_names_may_have_special_signs(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str, special: str
    ) -> None:
        with self.take(store, special + name), pytest.raises(LeaseTimeoutError):
            self.take(another(), special + name)

    @pytest.mark.parametrize("bad", ["", "a\nb", "a\0b", "x" * 201])
    def test_names_that_cannot_be_are_refused(self, store: LeaseStore, bad: str) -> None:
        with pytest.raises(ConfigurationError):
            self.take(store, bad)

    @pytest.mark.parametrize("ttl", [0, -1, 0.01, 1e9, math.inf, math.nan])
    def test_times_that_cannot_be_are_refused(
        self, store: LeaseStore, name: str, ttl: float
    ) -> None:
        with pytest.raises(ConfigurationError):
            store.acquire(name, ttl=ttl, timeout=0)

    def test_a_heartbeat_keeps_it(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str
    ) -> None:
        other = another()
        with self.take(store, name) as lease:
            end = time.monotonic() + 2.5 * self.ttl
            while time.monotonic() < end:
                lease.check()
                with pytest.raises(LeaseTimeoutError):
                    self.take(other, name)
                time.sleep(0.1)
            lease.confirm()

    def test_the_same_thread_enters_again_when_it_says_so(
        self, store: LeaseStore, another: Callable[[], LeaseStore], name: str
    ) -> None:
        other = another()
        with self.take(store, name) as outer:
            with store.acquire(name, ttl=self.ttl, timeout=0, reentrant=True) as inner:
                assert inner.generation == outer.generation
            outer.confirm()
            with pytest.raises(LeaseTimeoutError):
                self.take(other, name)
        assert self.take(other, name).held()

    def test_the_same_thread_does_not_wait_for_itself(self, store: LeaseStore, name: str) -> None:
        with self.take(store, name) as lease:
            with pytest.raises(LeaseError, match="reentrant"):
                self.take(store, name, timeout=math.inf)
            lease.confirm()

    def test_another_thread_does_not_enter(self, store: LeaseStore, name: str) -> None:
        outcome: list[str] = []

        def enter() -> None:
            try:
                store.acquire(name, ttl=self.ttl, timeout=0, reentrant=True)
            except LeaseTimeoutError:
                outcome.append("refused")

        with self.take(store, name):
            thread = threading.Thread(target=enter)
            thread.start()
            thread.join(30)
        assert outcome == ["refused"]

    def test_threads_exclude_each_other(self, store: LeaseStore, name: str) -> None:
        inside: list[int] = []
        most: list[int] = []

        def work() -> None:
            for _ in range(5):
                with self.take(store, name, timeout=60):
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.002)
                    inside.pop()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert most == [1] * 20

    def test_closing_releases(self, another: Callable[[], LeaseStore], name: str) -> None:
        store = another()
        lease = self.take(store, name)
        store.close()
        assert not lease.held()
        assert self.take(another(), name).held()
