"""The media lock of paperless-ngx as a lease that hosts can share.

paperless-ngx holds a ``FileLock`` on ``settings.MEDIA_LOCK`` while it chooses names and moves
files. A lock file reaches one host only, and not always that on NFS or SMB. The lease that stands
in for it is renewed while it is held. A holder that was paused beyond its time is refused at its
next write: ``require_held`` stands in front of every write to the storage.
"""

from __future__ import annotations

import math
import os
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlencode

from django.conf import settings

from paperfleet.errors import ConfigurationError
from paperfleet.locks.registry import open_lease_store
from paperfleet.paperless.documents import looks, patience
from paperfleet.running.rolelease import prefixed, redis_address
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from paperfleet.locks.protocol import Lease, LeaseStore

_NAME = "media"
_Given = TypeVar("_Given")
_Result = TypeVar("_Result")


class _Held(threading.local):
    def __init__(self) -> None:
        self.leases: list[Lease] = []
        self.looks = ExitStack()


_held = _Held()


def require_held() -> None:
    """Raise ``LeaseLostError`` when this thread has lost the lease that it works under."""
    for lease in _held.leases:
        lease.check()


def under_my_leases(work: Callable[[_Given], _Result]) -> Callable[[_Given], _Result]:
    """Return work that another thread may do for this one: refused once a lease of ours is lost."""
    mine = list(_held.leases)

    def done(given: _Given) -> _Result:
        _held.leases = mine
        try:
            return work(given)
        finally:
            _held.leases = []

    return done


class MediaLock:
    """Takes the lease for a block of code, as a ``FileLock`` is used; enters again in a thread."""

    def __init__(self, store: Callable[[], LeaseStore], ttl: float) -> None:
        self._store, self._ttl = store, ttl
        self._mine: list[Lease] = []

    @property
    def is_locked(self) -> bool:
        """Whether this object holds it."""
        return bool(self._mine)

    def acquire(self, timeout: float | None = None, **_: Any) -> Self:  # noqa: ANN401  # FileLock's other options say how to poll
        """Wait for the lease, ``timeout`` seconds, for ever without one or with a negative one.

        A request waits for a minute at the most: a task may hold it through an outage.

        Raises ``LeaseTimeoutError``, and ``LeaseError`` when the store of leases does not answer.
        """
        longest = patience.REQUEST_LOCK if patience.is_answering() else math.inf
        waits = longest if timeout is None or timeout < 0 else timeout
        name = prefixed(_NAME, os.environ)
        lease = self._store().acquire(name, ttl=self._ttl, timeout=waits, reentrant=True)
        self._mine.append(lease)
        if not _held.leases:
            _held.looks.enter_context(looks.remembering_alone())
        _held.leases.append(lease)
        return self

    def release(self, force: bool = False) -> None:  # noqa: ARG002  # FileLock's signature
        """Let the next one in."""
        if self._mine:
            lease = self._mine.pop()
            if lease in _held.leases:
                _held.leases.remove(lease)
            if not _held.leases:
                _held.looks.close()
            lease.release()

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.release()


class LeaseFactory:
    """What is called in the place of ``FileLock``; other lock files get the real one."""

    def __init__(self, original: Callable[..., Any], kind: str, ttl: float) -> None:
        self._original, self._ttl = original, ttl
        self._address = _lasting(address_of(kind), ttl)
        self._opening = threading.Lock()
        self._opened: LeaseStore | None = None

    def _store(self) -> LeaseStore:
        with self._opening:
            if self._opened is None:
                self._opened = open_lease_store(self._address)
            return self._opened

    def __call__(self, lock_file: Any, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  # FileLock's signature
        """Return the media lock, or a ``FileLock`` on any other file."""
        if str(lock_file) == str(settings.MEDIA_LOCK):
            return MediaLock(self._store, self._ttl)
        return self._original(lock_file, *arguments, **keywords)


def address_of(kind: str) -> Secret:
    """Return the address of the lease store that a kind of media lock means.

    ``file`` · ``redis``, at ``PAPERLESS_REDIS`` · ``postgres``, the database of paperless-ngx · or
    an address. Raises ``ConfigurationError``.
    """
    if kind == "file":
        return Secret(f"file:{quote(str(settings.DATA_DIR / 'paperfleet' / 'leases'))}")
    if kind == "redis":
        return Secret(redis_address(os.environ))
    if kind == "postgres":
        return _database()
    if ":" not in kind:
        raise ConfigurationError(
            f"PAPERFLEET_MEDIA_LOCK is {kind!r}", hint="There are: file, redis, postgres"
        )
    return Secret(kind)


def _lasting(address: Secret, ttl: float) -> Secret:
    """Return an address that tells a Redis the longest time that a lease may have.

    All processes are set to the same time, as that of the media lock has to be.
    """
    text = address.reveal()
    kind = text.partition(":")[0]
    if kind not in {"redis", "rediss", "unix"} or "longest_ttl=" in text:
        return address
    return Secret(f"{text}{'&' if '?' in text else '?'}longest_ttl={ttl:g}")


def _database() -> Secret:
    database = settings.DATABASES["default"]
    if "postgresql" not in database["ENGINE"]:
        raise ConfigurationError(
            "PAPERFLEET_MEDIA_LOCK is postgres, and paperless-ngx has another database",
            hint="Use redis",
        )
    user, password = (
        quote(database.get("USER", ""), safe=""),
        quote(database.get("PASSWORD", ""), safe=""),
    )
    host, port = (
        quote(database.get("HOST", "") or "localhost", safe=""),
        database.get("PORT") or 5432,
    )
    options = database.get("OPTIONS", {}).items()
    about = {key: str(value) for key, value in options if key.startswith("ssl") and value}
    query = f"?{urlencode(about)}" if about else ""
    name = quote(str(database["NAME"]), safe="")
    return Secret(f"postgresql://{user}:{password}@{host}:{port}/{name}{query}")
