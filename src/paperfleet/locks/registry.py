"""Opening a lease store by its address."""

from __future__ import annotations

import contextlib
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, unquote, urlsplit

from paperfleet.errors import ConfigurationError
from paperfleet.locks.backends.file import FileLeases, folder_checks
from paperfleet.locks.backends.memory import Memory, MemoryLeases
from paperfleet.locks.protocol import CheckedLeases
from paperfleet.locks.store import Leases
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.diagnosis import Check
    from paperfleet.locks.protocol import LeaseBackend, LeaseStore

_MEMORY = Memory()
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]+)(:[0-9]+)?")
_FORMS = "file:/run/paperfleet, redis://host:6379/0, postgresql://user@host/database, memory:"


def open_lease_store(address: str | Secret) -> LeaseStore:
    """Return the lease store at an address; sends no request.

    ``file:/run/paperfleet`` · ``redis://:password@host:6379/0``, ``rediss://…``, ``unix:///path`` ·
    ``postgresql://user:password@host/database``, ``postgres://…`` · ``memory:``, one for the whole
    process. Raises ``ConfigurationError``, which like ``label`` and ``repr`` shows neither password
    nor query of the address.
    """
    secret = address if isinstance(address, Secret) else Secret(address)
    parts = _parts_of(secret)
    return Leases(_OPENERS[parts.scheme](secret, parts))


def lease_checks(address: Secret, ttl: float) -> list[Check]:
    """Return what can be looked at in the lease store at an address; sends and makes nothing.

    ``ttl`` is how long its leases are to last, in seconds. Raises ``ConfigurationError`` as
    ``open_lease_store`` does.
    """
    parts = _parts_of(address)
    if parts.scheme == "file":
        return folder_checks(_folder_of(parts))
    backend = _OPENERS[parts.scheme](address, parts)
    return backend.checks(ttl) if isinstance(backend, CheckedLeases) else []


def _parts_of(secret: Secret) -> SplitResult:
    parts = _split(secret.reveal())
    if parts.scheme not in _OPENERS:
        raise ConfigurationError(
            f"there is no lease store of the kind {parts.scheme!r}"
            if parts.scheme
            else "the address of the lease store says no kind",
            hint=f"There are: {_FORMS}",
        )
    return parts


def _split(address: str) -> SplitResult:
    """Return the parts; refuse what a special sign in a password has cut at the wrong place."""
    with contextlib.suppress(ValueError):  # its text may hold a part of the password
        parts = urlsplit(address)
        if not parts.fragment and _hosts_only(parts) and not _user_in_path(parts):
            return parts
    raise ConfigurationError(
        "the address of the lease store is not a URL",
        hint="Write the special signs of a password as %xx: %23 for '#', %2F for '/'",
    )


def _hosts_only(parts: SplitResult) -> bool:
    hosts = parts.netloc.rpartition("@")[2]
    if not hosts:  # a socket, or the query says where the server is
        return True
    return all(_HOST.fullmatch(host) for host in hosts.split(","))


def _user_in_path(parts: SplitResult) -> bool:
    return parts.scheme not in {"file", "unix"} and "@" in parts.path + parts.query


def _memory(_: Secret, parts: SplitResult) -> LeaseBackend:
    if parts.netloc or parts.path:
        raise ConfigurationError("leases in memory have no address", hint="Write memory:")
    return MemoryLeases(_MEMORY)


def _file(_: Secret, parts: SplitResult) -> LeaseBackend:
    return FileLeases(_folder_of(parts))


def _folder_of(parts: SplitResult) -> Path:
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ConfigurationError(
            "leases in files need a folder of this machine by its absolute path",
            hint="Such as file:/run/paperfleet",
        )
    return Path(unquote(parts.path))


def _server(kind: str, needs: str, extra: str) -> Callable[[Secret, SplitResult], LeaseBackend]:
    """Return what opens the class ``kind`` of the backend ``extra``, once ``needs`` is there."""

    def opened(address: Secret, parts: SplitResult) -> LeaseBackend:
        try:
            importlib.import_module(needs)
        except ModuleNotFoundError:
            raise ConfigurationError(
                f"leases in {extra} need the package {needs}",
                hint=f"pip install 'paperfleet[{extra}]'",
            ) from None
        module = importlib.import_module(f"paperfleet.locks.backends.{extra}")
        return cast("LeaseBackend", getattr(module, kind)(address, label=_label(parts)))

    return opened


def _label(parts: SplitResult) -> str:
    """Return an address without user, password and query."""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


_redis = _server("RedisLeases", "redis", "redis")
_postgres = _server("PostgresLeases", "psycopg", "postgres")
_OPENERS: dict[str, Callable[[Secret, SplitResult], LeaseBackend]] = {
    "memory": _memory,
    "file": _file,
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
    "postgres": _postgres,
    "postgresql": _postgres,
}
