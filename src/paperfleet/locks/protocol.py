"""What a lease promises, and what it does not.

A lease is a lock with an owner, an expiry and a generation. Its holder renews it; a holder that is
killed, stopped or cut off loses it when it runs out, and then another one gets it.

What is promised, while every clock runs equally fast within 1 % (``lease.DRIFT``):

* At no time do two holders both find ``held()`` true.
* The generation of a name grows with every change of its holder, and never goes back.
* A holder that slept, was stopped or was cut off for too long finds ``held()`` false before it can
  do anything else, because it goes by its own clock (which counts the sleep of the machine).

What no lease can promise:

* Between ``check()`` and the end of the write that follows, the process may be stopped; when it
  goes on, that one write reaches its destination late. Only a destination that compares generations
  or entity tags itself (conditional writes) refuses it. So a check belongs before *each* write.
* The clock of a virtual machine that is paused or moved from outside does not count the pause.
  ``confirm()`` asks the store instead of the clock.

What a store loses, it cannot promise: see the docstrings of the backends for restarts, failover and
lost data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from paperfleet.diagnosis import Check
    from paperfleet.errors import LeaseLostError


class Lease(Protocol):
    """A lease that was had once; ``held`` says whether it still is.

    As a context manager it is released at the end of the block. Once lost, always lost. A process
    that was forked off does not hold the leases of its parent.
    """

    @property
    def name(self) -> str:
        """What is leased."""
        ...

    @property
    def owner(self) -> str:
        """Host, process and a random part: unlike that of any other lease."""
        ...

    @property
    def generation(self) -> int:
        """The fencing token: larger than that of every earlier holder of this name."""
        ...

    @property
    def expires(self) -> float:
        """When it is lost unless it is renewed, on the clock ``clock.now``, in seconds."""
        ...

    def held(self) -> bool:
        """Say whether nobody else can hold it now; asks the clock only, not the store."""
        ...

    def check(self) -> None:
        """Raise ``LeaseLostError`` unless ``held``; costs about a microsecond."""
        ...

    def confirm(self) -> None:
        """Renew it at the store now; raise ``LeaseLostError``, or ``LeaseError`` for no answer."""
        ...

    def release(self) -> None:
        """Let the next one in; never raises, and twice is harmless.

        Without an answer from the store the lease runs out by itself.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...


class LeaseStore(Protocol):
    """Where leases are had. All methods may be called from many threads."""

    @property
    def label(self) -> str:
        """A name for people, without secrets."""
        ...

    def acquire(
        self,
        name: str,
        *,
        ttl: float,
        timeout: float,
        reentrant: bool = False,
        on_lost: Callable[[LeaseLostError], object] | None = None,
    ) -> Lease:
        """Return the lease of this name once nobody else holds it, and renew it from then on.

        ``ttl`` is the seconds after which a silent holder has lost it, at least 0.1; all holders of
        a name must use the same. ``timeout`` is how many seconds to wait for others: 0 asks once,
        ``math.inf`` waits for ever. With ``reentrant``, a thread that holds the lease gets it again
        at once, and lets go of it with the last release. ``on_lost`` is called in another thread
        when the lease is found lost, up to one request's timeout after ``held`` turned false.

        Raises ``LeaseTimeoutError`` that names the holder, ``LeaseLostError`` where the lease to
        enter again is lost, ``ConfigurationError`` for a name, time, user or password that cannot
        be, and ``LeaseError`` when the store does not answer, or this thread holds the lease and
        did not say ``reentrant``.
        """
        ...

    def close(self) -> None:
        """Release what is held here and close the connections."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...


class Granted(NamedTuple):
    """The caller holds the lease now, under this generation."""

    generation: int


class LeaseRefused(NamedTuple):
    """Somebody else holds the lease; ``holder`` is its owner, or the reason in words."""

    holder: str


class LeaseBackend(Protocol):
    """One kind of place for leases; ``store.Leases`` makes a ``LeaseStore`` of it.

    No method waits for another holder. Each ends within a bounded time, and raises ``LeaseError``
    when the place does not answer or refuses.
    """

    @property
    def label(self) -> str:
        """A name for people, without secrets."""
        ...

    def take(self, name: str, owner: str, ttl: float) -> Granted | LeaseRefused:
        """Take a lease for ``ttl`` seconds from some moment within this call, or later.

        Succeeds if nobody holds it or the holder's time is over. The generation is larger than all
        that were given for ``name`` before. Atomic: of many callers at one time, one gets it.
        """
        ...

    def renew(self, name: str, owner: str, generation: int, ttl: float) -> bool:
        """Make it last ``ttl`` seconds from a moment within this call or later, if still held.

        False means that the lease is lost for good.
        """
        ...

    def release(self, name: str, owner: str, generation: int) -> None:
        """Give it up, and what was needed for it; does nothing to a lease of others."""
        ...

    def forget(self) -> None:
        """Drop, in a child after fork(2), what belongs to the parent, without closing it there."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class CheckedLeases(Protocol):
    """A backend that can be looked at before something goes wrong."""

    def checks(self, ttl: float) -> list[Check]:
        """Return what can be looked at, for leases of so many seconds; none of it writes."""
        ...
