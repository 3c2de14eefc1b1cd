"""A lease store over any backend: waiting, heartbeat, entering again, what happens after a fork."""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, Self

from paperfleet.errors import ConfigurationError, LeaseError, LeaseTimeoutError
from paperfleet.locks import clock as default_clock
from paperfleet.locks.hold import Hold
from paperfleet.locks.keeper import Keeper
from paperfleet.locks.protocol import Granted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from paperfleet.errors import LeaseLostError
    from paperfleet.locks.protocol import LeaseBackend, LeaseRefused

SHORTEST_TTL = 0.1
LONGEST_TTL = 86_400.0
LONGEST_NAME = 200
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.25


class Kept:
    """A hold with its keeper and the number of times that its thread has entered it."""

    def __init__(
        self,
        hold: Hold,
        on_lost: Callable[[LeaseLostError], object] | None,
        on_end: Callable[[Kept], object],
    ) -> None:
        self.hold = hold
        self._keeper = Keeper(hold, on_lost)
        self._on_end = on_end
        self._depth = 0
        self._lock = threading.Lock()

    def enter(self) -> None:
        """Count one more entry."""
        with self._lock:
            self._depth += 1

    def leave(self) -> None:
        """Count one entry less, and release with the last one."""
        if not self.hold.here:  # after a fork the lock may be held by a thread that is not here
            return
        with self._lock:
            self._depth -= 1
            last = self._depth == 0
        if last:
            self.end()

    def end(self) -> None:
        """Release, whatever the count is."""
        self._keeper.stop()  # first, or its next renewal finds the lease gone and calls it lost
        self.hold.release()
        self._on_end(self)


class HeldLease:
    """A ``Lease`` of ``Leases``: one entry into a hold."""

    def __init__(self, kept: Kept) -> None:
        kept.enter()
        self._kept, self._hold = kept, kept.hold
        self._open = True

    @property
    def name(self) -> str:
        """What is leased."""
        return self._hold.name

    @property
    def owner(self) -> str:
        """Host, process and a random part."""
        return self._hold.owner

    @property
    def generation(self) -> int:
        """The fencing token."""
        return self._hold.generation

    @property
    def expires(self) -> float:
        """When it is lost unless it is renewed, on the clock of the store."""
        return self._hold.expires

    def held(self) -> bool:
        """See ``Lease``."""
        return not self._hold.why_not()

    def check(self) -> None:
        """See ``Lease``."""
        self._hold.check()

    def confirm(self) -> None:
        """See ``Lease``."""
        self._hold.renew()
        self._hold.check()

    def release(self) -> None:
        """See ``Lease``."""
        was_open, self._open = self._open, False
        if was_open:
            self._kept.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        state = "held" if self.held() else "lost"
        return f"<Lease {self.name!r} generation {self.generation}, {state}>"


class Leases:
    """A ``LeaseStore`` made of a backend."""

    def __init__(
        self, backend: LeaseBackend, *, clock: Callable[[], float] = default_clock.now
    ) -> None:
        self._backend, self._clock = backend, clock
        self._start_afresh()
        _ALL.add(self)

    def _start_afresh(self) -> None:
        self._mine = _HeldByThread()
        self._kept: set[Kept] = set()

    @property
    def label(self) -> str:
        """The backend's name for people."""
        return self._backend.label

    def acquire(
        self,
        name: str,
        *,
        ttl: float,
        timeout: float,
        reentrant: bool = False,
        on_lost: Callable[[LeaseLostError], object] | None = None,
    ) -> HeldLease:
        """See ``LeaseStore``."""
        _require(name, ttl)
        kept = self._mine.held.get(name)
        if kept is not None and kept.hold.here and (reentrant or not kept.hold.why_not()):
            return self._again(kept, reentrant=reentrant)
        hold = self._wait(name, ttl, timeout)
        try:
            kept = Kept(hold, on_lost, self._kept.discard)
        except BaseException:  # no thread can be started
            hold.release()
            raise
        self._kept.add(kept)
        self._mine.held[name] = kept
        return HeldLease(kept)

    def _again(self, kept: Kept, *, reentrant: bool) -> HeldLease:
        if not reentrant:
            raise LeaseError(
                f"this thread holds the lease {kept.hold.name!r} already and would wait for itself",
                hint="Release it first, or ask with reentrant=True",
            )
        kept.hold.check()
        return HeldLease(kept)

    def _wait(self, name: str, ttl: float, timeout: float) -> Hold:
        owner = f"{socket.gethostname()} pid {os.getpid()} {secrets.token_hex(8)}"
        end = self._clock() + timeout
        pause = _FIRST_PAUSE
        while True:
            # Before the request, so that our time is over before the store's.
            asked = self._clock()
            answer = self._backend.take(name, owner, ttl)
            if isinstance(answer, Granted):
                generation = answer.generation
                return Hold(
                    self._backend, name, owner, generation, ttl=ttl, asked=asked, clock=self._clock
                )
            left = end - self._clock()
            if left <= 0:
                raise self._busy(name, answer)
            time.sleep(min(left, pause * random.uniform(0.5, 1)))  # noqa: S311  # keeps waiters apart
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _busy(self, name: str, answer: LeaseRefused) -> LeaseTimeoutError:
        return LeaseTimeoutError(f"the lease {name!r} on {self.label} is held by {answer.holder}")

    def close(self) -> None:
        """See ``LeaseStore``."""
        for kept in list(self._kept):
            kept.end()
        self._backend.close()  # last: the releases above go through it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Leases on {self.label}>"

    def forget(self) -> None:
        """Drop what belongs to the parent, in a child after fork(2)."""
        self._start_afresh()
        self._backend.forget()


class _HeldByThread(threading.local):
    def __init__(self) -> None:
        # Weak: `Leases` owns them, and any thread may end one; this thread's entry goes with it.
        self.held: weakref.WeakValueDictionary[str, Kept] = weakref.WeakValueDictionary()


_ALL: weakref.WeakSet[Leases] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_ALL):
        store.forget()


os.register_at_fork(after_in_child=_after_fork)


def _require(name: str, ttl: float) -> None:
    if not name or not name.isprintable() or len(name.encode(errors="replace")) > LONGEST_NAME:
        raise ConfigurationError(
            f"{name[:LONGEST_NAME]!r} cannot be the name of a lease",
            hint=f"A name is printable and of 1 to {LONGEST_NAME} bytes",
        )
    if not SHORTEST_TTL <= ttl <= LONGEST_TTL:
        raise ConfigurationError(
            f"a lease cannot last {ttl:g} s",
            hint=f"Choose {SHORTEST_TTL:g} to {LONGEST_TTL:g} seconds",
        )
