"""The lease of a role of which one process works: the launcher stands by, the program holds it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote, urlencode

from paperfleet.errors import ConfigurationError
from paperfleet.locks.registry import open_lease_store
from paperfleet.secret import Secret
from paperfleet.settings import app, fleet
from paperfleet.settings.environment import values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SINGLETONS: Final = frozenset({"scheduler", "consumer", "migrate"})
"""Roles of which one process works at a time."""
REDIS_VARIABLE: Final = "PAPERLESS_REDIS"
REDIS_DEFAULT: Final = "redis://localhost:6379"
PREFIX_VARIABLE: Final = "PAPERLESS_REDIS_PREFIX"
"""By this paperless-ngx itself separates installations on one Redis (``settings``)."""
_TLS: Final = {
    "sslmode": "PAPERLESS_DBSSLMODE",
    "sslrootcert": "PAPERLESS_DBSSLROOTCERT",
    "sslcert": "PAPERLESS_DBSSLCERT",
    "sslkey": "PAPERLESS_DBSSLKEY",
}
"""Parameters of libpq, and the variables of paperless-ngx (``paperless/settings/custom.py``)."""
_OPTIONS: Final = "PAPERLESS_DB_OPTIONS"
"""``key=value`` pairs with commas; those with a dot are not libpq's."""


class RoleLease(NamedTuple):
    """Where the lease of a role is had: ``LeaseStore.acquire`` takes name and ``seconds``."""

    address: Secret
    name: str
    seconds: float


class Launched(NamedTuple):
    """What the launcher tells the program that it becomes: the role, and the file of its state."""

    role: str
    state: Path


def settings_in(environ: Mapping[str, str]) -> fleet.FleetSettings:
    """Return the settings of the fleet; raise ``ConfigurationError`` that names the variable."""
    return fleet.FleetSettings(**values_of(fleet.table(), environ))  # type: ignore[arg-type]  # parsed


def lease_of(role: str, environ: Mapping[str, str]) -> RoleLease:
    """Return the lease of a role; raise ``ConfigurationError`` for settings that cannot be."""
    settings = settings_in(environ)
    name = prefixed(f"role {role}", environ)
    return RoleLease(_address(settings, environ), name, settings.role_lease_seconds)


def prefixed(name: str, environ: Mapping[str, str]) -> str:
    """Return the name of a lease as this installation calls it, beside others on one server."""
    return environ.get(PREFIX_VARIABLE, "") + name


def place_of_leases(environ: Mapping[str, str]) -> str:
    """Return where the leases of roles lie, for people: a word, or an address without secrets."""
    settings = settings_in(environ)
    kind = _kind(settings, environ)
    if kind in {fleet.DATABASE, fleet.REDIS}:
        return kind
    with open_lease_store(kind) as store:
        return store.label


def launched_text(role: str, state: Path) -> str:
    """Return what ``LAUNCHED`` is set to before this process becomes the role's program."""
    return f"{role} {os.getpid()} {state}"


def launched(environ: Mapping[str, str]) -> Launched | None:
    """Return the role that this very process was launched for.

    The variable has the process's number, which exec keeps: a child that inherits the variable is
    not meant.
    """
    process, found = _launched(environ)
    return found if process == str(os.getpid()) else None


def is_web(environ: Mapping[str, str]) -> bool:
    """Say whether this process serves for the role web: Granian does so in children of its own."""
    process, found = _launched(environ)
    return found.role == "web" and process in {str(os.getpid()), str(os.getppid())}


def _launched(environ: Mapping[str, str]) -> tuple[str, Launched]:
    role, _, rest = environ.get(fleet.LAUNCHED, "").partition(" ")
    process, _, state = rest.partition(" ")
    return process, Launched(role, Path(state))


def has_postgres(environ: Mapping[str, str]) -> bool:
    """Say whether paperless-ngx keeps its rows in PostgreSQL (``paperless/settings/custom.py``)."""
    engine = environ.get("PAPERLESS_DBENGINE", "")
    return engine == "postgresql" or (not engine and bool(environ.get("PAPERLESS_DBHOST")))


def redis_address(environ: Mapping[str, str]) -> str:
    """Return the address of paperless-ngx's Redis as the client redis takes it."""
    address = environ.get(REDIS_VARIABLE) or REDIS_DEFAULT
    if address.startswith("redis+socket://"):  # Celery's spelling
        address = "unix://" + address.removeprefix("redis+socket://")
        address = address.replace("virtual_host=", "db=")
    return address


def database_address(environ: Mapping[str, str]) -> Secret:
    """Return the libpq URL of paperless-ngx's PostgreSQL."""
    user = quote(environ.get("PAPERLESS_DBUSER") or "paperless", safe="")
    password = quote(environ.get("PAPERLESS_DBPASS") or "paperless", safe="")
    name = quote(environ.get("PAPERLESS_DBNAME") or "paperless", safe="")
    about = {
        "host": environ.get("PAPERLESS_DBHOST") or "localhost",
        "port": environ.get("PAPERLESS_DBPORT") or "5432",
    }
    about |= {key: environ[variable] for key, variable in _TLS.items() if environ.get(variable)}
    pairs = (pair.strip().partition("=") for pair in environ.get(_OPTIONS, "").split(","))
    about |= {key: value for key, _, value in pairs if key.startswith("ssl") and value}
    return Secret(f"postgresql://{user}:{password}@/{name}?{urlencode(about)}")


def _kind(settings: fleet.FleetSettings, environ: Mapping[str, str]) -> str:
    given = settings.role_lease.reveal() if settings.role_lease else ""
    if settings.role_lease_file:
        given = _in_file(settings.role_lease_file)
    return given or (fleet.DATABASE if has_postgres(environ) else fleet.REDIS)


def _address(settings: fleet.FleetSettings, environ: Mapping[str, str]) -> Secret:
    kind = _kind(settings, environ)
    if kind == fleet.REDIS:
        return _as_long_as_others(redis_address(environ), environ)
    if kind != fleet.DATABASE:
        return Secret(kind)
    if not has_postgres(environ):
        raise ConfigurationError(
            f"{_variable('role_lease')} is {fleet.DATABASE}, and paperless-ngx has no PostgreSQL",
            hint=f"Use {fleet.REDIS}",
        )
    return database_address(environ)


def _in_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{_variable('role_lease_file')}: {path} cannot be read: {error}"
        ) from None


def _variable(key: str) -> str:
    return fleet.table()[key].variable


def _as_long_as_others(address: str, environ: Mapping[str, str]) -> Secret:
    """Tell the Redis the longest time of a lease that the media lock tells it too."""
    if "longest_ttl=" in address:
        return Secret(address)
    seconds = values_of(app.table(), environ).get("media_lock_seconds")
    if seconds is None:
        seconds = app.table()["media_lock_seconds"].default
    return Secret(f"{address}{'&' if '?' in address else '?'}longest_ttl={seconds}")
