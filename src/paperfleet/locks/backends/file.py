"""Leases as files in a folder that the processes of one host share.

Also several containers are one host, when they share the folder. The file of a lease is looked at
and replaced under a lock of ``filelock`` on the file beside it, for some milliseconds; the lease
itself is what the file says. So a stopped holder can be succeeded, which the lock alone would not
allow. Times are those of the clock that counts since the start of the kernel; after a restart of
the machine all leases are free.

Generations are written durably (rename(2) between two fsync(2)), and none is smaller than the
milliseconds since 1970, so that also on a tmpfs, which is empty after a restart, they go back only
if the clock was set back as well.

Limits: a network filesystem is refused, because other hosts have another clock and flock(2) may
not reach them. A process that is stopped in the very milliseconds of a change keeps the others
waiting, and takes nothing from anybody. All processes need the right to write each other's files.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from paperfleet.diagnosis import Check, ok, problem
from paperfleet.errors import ConfigurationError, LeaseError
from paperfleet.filesystems import filesystem_type, is_network, may_write_in, nearest
from paperfleet.locks import clock as default_clock
from paperfleet.locks.protocol import Granted, LeaseRefused
from paperfleet.private import MODE, make_folder, replace_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.diagnosis import CheckResult

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LOCK_SECONDS = 5.0
_NETWORK_HINT = "Use a folder of this host, such as /run/paperfleet, or Redis or PostgreSQL"
_LOCK_POLL_SECONDS = 0.002


class _FileEntry(NamedTuple):
    generation: int
    owner: str = ""
    until: float = 0.0
    boot: str = ""


def folder_checks(folder: Path) -> list[Check]:
    """Return what can be looked at in such a folder; makes nothing."""
    return [Check("folder", lambda: _looked(folder))]


def _looked(folder: Path) -> Iterator[CheckResult]:
    kind = filesystem_type(folder)
    if is_network(kind):
        yield problem(f"it lies on a network filesystem ({kind})", _NETWORK_HINT)
        return
    there = nearest(folder)
    if not there.is_dir():
        yield problem(f"{there} is no folder", "Name a folder that all processes share")
    elif not may_write_in(there):
        yield problem(
            f"user {os.geteuid()} may not write in {there}",
            "Let all processes that share the leases write there",
        )
    elif there == folder:
        yield ok("it is there, and can be written; it reaches the processes of this host alone")
    else:
        yield ok("it is not there yet, and can be made")


class FileLeases:
    """Keeps leases in ``folder``, which is made when it is missing.

    Raises ``ConfigurationError`` for a network filesystem, or a folder that cannot be made.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = default_clock.now) -> None:
        kind = filesystem_type(folder)
        if is_network(kind):
            raise ConfigurationError(
                f"{folder} lies on a network filesystem ({kind}), where files keep no leases",
                hint=_NETWORK_HINT,
            )
        try:
            make_folder(folder)
        except OSError as error:
            raise ConfigurationError(
                f"the folder for leases {folder} cannot be made: {error.strerror}"
            ) from None
        self._folder, self._clock, self._boot = folder, clock, _boot_id()

    @property
    def label(self) -> str:
        """The folder."""
        return str(self._folder)

    def take(self, name: str, owner: str, ttl: float) -> Granted | LeaseRefused:
        """See ``LeaseBackend``."""
        with self._locked(name) as path:
            entry = _read(path)
            if entry.owner and self._runs(entry):
                return LeaseRefused(entry.owner)
            generation = max(entry.generation + 1, time.time_ns() // 1_000_000)
            self._write(path, generation, owner, ttl)
            return Granted(generation)

    def renew(self, name: str, owner: str, generation: int, ttl: float) -> bool:
        """See ``LeaseBackend``."""
        with self._locked(name) as path:
            entry = _read(path)
            if entry.owner != owner or not self._runs(entry):
                return False
            self._write(path, generation, owner, ttl)
            return True

    def release(self, name: str, owner: str, generation: int) -> None:
        """See ``LeaseBackend``."""
        with self._locked(name) as path:
            if _read(path).owner == owner:
                replace_text(path, _json(_FileEntry(generation)))

    def forget(self) -> None:
        """See ``LeaseBackend``; nothing is open between the calls."""

    def close(self) -> None:
        """See ``LeaseBackend``."""

    def _runs(self, entry: _FileEntry) -> bool:
        return entry.boot == self._boot and self._clock() < entry.until

    def _write(self, path: Path, generation: int, owner: str, ttl: float) -> None:
        entry = _FileEntry(generation, owner, self._clock() + ttl, self._boot)
        replace_text(path, _json(entry))

    @contextmanager
    def _locked(self, name: str) -> Iterator[Path]:
        """Yield the file of a lease while nobody else looks at it."""
        stem = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:32]
        lock = FileLock(self._folder / f"{stem}.lock", mode=MODE)
        try:
            lock.acquire(_LOCK_SECONDS, poll_interval=_LOCK_POLL_SECONDS)
        except Timeout:
            raise LeaseError(
                f"the lease {name!r} in {self._folder} has been in use for {_LOCK_SECONDS:g} s",
                hint="Is one of the processes stopped, or the disk?",
            ) from None
        except OSError as error:
            raise self._failed(error) from error
        try:
            yield self._folder / f"{stem}.lease"
        except LeaseError:
            raise
        except OSError as error:
            raise self._failed(error) from error
        finally:
            lock.release()

    def _failed(self, error: OSError) -> LeaseError:
        return LeaseError(
            f"the leases in {self._folder} cannot be used: {error.strerror or error}",
            hint=f"User {os.geteuid()} needs the right to write there, and the disk some space",
        )


def _boot_id() -> str:
    """Return what no other run of a kernel has; '' where the kernel does not tell (random(4))."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _read(path: Path) -> _FileEntry:
    try:
        return _checked(_FileEntry(**json.loads(path.read_bytes())))
    except FileNotFoundError:
        return _FileEntry(0)
    except (ValueError, TypeError, RecursionError):
        raise LeaseError(
            f"{path} holds no lease", hint="Remove it when no process uses the folder"
        ) from None


def _checked(entry: _FileEntry) -> _FileEntry:
    """Return an entry; raise ``TypeError`` unless its values are of their kinds."""
    if [type(value) for value in entry] not in ([int, str, float, str], [int, str, int, str]):
        raise TypeError(entry)
    return entry


def _json(entry: _FileEntry) -> str:
    return json.dumps(entry._asdict())
