"""What a role waits for at its start, each with an end and a message."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from paperfleet.errors import ConfigurationError, NotReadyError
from paperfleet.fleet.programs import asked
from paperfleet.fleet.roles import CHECK
from paperfleet.running.exitcodes import FAILED, FINE
from paperfleet.running.rolelease import has_postgres, redis_address
from paperfleet.settings.fleet import NO_ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.fleet.site import Site

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 3.0
_ANSWER_SECONDS = 5.0
_COMMAND_SECONDS = 120.0
_CHECK_SECONDS = 300.0
"""It asks the storage for some hundred files, which may be far away."""
_CHECK_SHOWN = 20_000
_NOTHING_TO_SAY: Final = "System check identified no issues"
_PROTOCOL = 196608
"""Version 3.0 (PostgreSQL manual, "Message Formats", StartupMessage)."""
_STARTING: Final = b"C57P03"
"""SQLSTATE cannot_connect_now (PostgreSQL manual, "Error Codes")."""
_SCHEMA = ("python3", "manage.py", "paperfleet_schema")
REFUSAL: Final = "paperfleet: "
"""How the text begins with which our app ends a process whose settings cannot be."""


def wait_until(
    look: Callable[[], str],
    what: str,
    *,
    seconds: float,
    say: Callable[[str], object],
    hint: str,
) -> None:
    """Return once ``look`` returns '', which is asked at least once.

    A reason that it returns instead is said when it changes. Raises ``NotReadyError`` with the last
    one after ``seconds``.
    """
    end, pause, told = time.monotonic() + seconds, _FIRST_PAUSE, ""
    while reason := look():
        left = end - time.monotonic()
        if left <= 0:
            raise NotReadyError(f"{what}, after {seconds:g} s: {reason}", hint=hint)
        if reason != told:
            told = reason
            say(f"waiting up to {seconds:g} s: {what}: {reason}")
        time.sleep(min(left, pause))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def wait_for(need: str, role: str, site: Site, say: Callable[[str], object]) -> None:
    """Wait for one need of the table; raise ``NotReadyError``."""
    look, what, seconds, hint = {
        "database": (
            lambda: database_fault(site.environ),
            "the database does not answer",
            site.settings.server_wait_seconds,
            "Start it, or mend PAPERLESS_DBHOST and PAPERLESS_DBPORT",
        ),
        "redis": (
            lambda: redis_fault(site.environ),
            "Redis does not answer",
            site.settings.server_wait_seconds,
            "Start it, or mend PAPERLESS_REDIS",
        ),
        "schema": (
            lambda: schema_fault(site, say),
            "the database has not the tables of this version",
            site.settings.schema_wait_seconds,
            "Run the role migrate of the same version: paperfleet run migrate",
        ),
        "storage": (
            lambda: storage_fault(role, site, say),
            "the document storage does not answer",
            site.settings.server_wait_seconds,
            "Start it, or mend PAPERLESS_DOCUMENT_STORAGE_BACKEND and its settings",
        ),
    }[need]
    wait_until(look, what, seconds=seconds, say=say, hint=hint)


def refuse_database(environ: Mapping[str, str]) -> None:
    """Raise ``ConfigurationError`` for a database on which no fleet was ever tested."""
    if environ.get("PAPERLESS_DBENGINE") == "mariadb":
        raise ConfigurationError(
            "a fleet on MariaDB was never tested, so it is not started",
            hint="Use PostgreSQL",
        )


def database_fault(environ: Mapping[str, str]) -> str:
    """Return why PostgreSQL takes no connections, as ``pg_isready`` finds out; '' when it does.

    Without a password: whoever is refused has reached a server that works. SQLite is always there.
    """
    if not has_postgres(environ):
        return ""
    host = environ.get("PAPERLESS_DBHOST") or "localhost"
    port = environ.get("PAPERLESS_DBPORT") or "5432"
    user = environ.get("PAPERLESS_DBUSER") or "paperless"
    try:
        with _connected(host, int(port)) as line:
            body = b"user\0" + user.encode() + b"\0\0"
            line.sendall(struct.pack("!ii", len(body) + 8, _PROTOCOL) + body)
            answer = line.recv(1000)
    except ValueError:
        raise ConfigurationError(f"PAPERLESS_DBPORT is {port!r}, which is no port") from None
    except OSError as error:
        return f"{host}:{port}: {error}"
    if answer[:1] not in (b"R", b"E"):
        return f"{host}:{port} answers unlike PostgreSQL"
    return f"{host}:{port} is starting up" if _STARTING in answer else ""


def _connected(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port), _ANSWER_SECONDS)
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(_ANSWER_SECONDS)
    try:
        line.connect(f"{host}/.s.PGSQL.{port}")
    except BaseException:
        line.close()
        raise
    return line


def redis_fault(environ: Mapping[str, str]) -> str:
    """Return why paperless-ngx's Redis does not answer; never shows its address."""
    try:
        import redis  # noqa: PLC0415  # an extra
    except ModuleNotFoundError:
        raise ConfigurationError(
            "the roles of a fleet need the package redis",
            hint="pip install 'paperfleet[paperless]'",
        ) from None
    try:
        client = redis.Redis.from_url(
            redis_address(environ),
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
        )
    except (ValueError, TypeError):  # without its text, which may quote the address
        raise ConfigurationError("PAPERLESS_REDIS is not an address that Redis takes") from None
    with contextlib.closing(client):
        try:
            client.ping()
        except redis.exceptions.AuthenticationError as error:
            raise ConfigurationError(
                f"Redis refuses the password of PAPERLESS_REDIS: {error}"
            ) from None
        except redis.exceptions.RedisError as error:
            return str(error)
    return ""


def storage_fault(role: str, site: Site, say: Callable[[str], object]) -> str:
    """Return why the storage does not answer for now; '' when ``CHECK`` found all in order.

    Tells what it has printed when it is at its end. Raises ``NotReadyError`` for what no waiting
    mends.
    """
    code, text = asked(site, CHECK, _CHECK_SECONDS, say=say, role=role, most=_CHECK_SHOWN)
    if code and (silent := text.partition(f"({NO_ANSWER})")[2]):
        return silent.partition("\n")[0].strip()
    if code == FINE and text.startswith(_NOTHING_TO_SAY):
        return ""
    say(text)
    if code:
        raise NotReadyError(
            f"`{' '.join(CHECK)}` ended with {code}", hint="What it printed above says why"
        )
    return ""


def schema_fault(site: Site, say: Callable[[str], object]) -> str:
    """Return that migrations are missing in the database, or why nobody knows; '' for neither.

    Raises ``ConfigurationError`` for what no waiting mends: the tables of a newer version, or
    settings that our app refuses.
    """
    code, text = asked(site, _SCHEMA, _COMMAND_SECONDS, say=say)
    if code == FINE:
        return ""
    last = text.splitlines()[-1] if text else "nobody knows why"
    if code == FAILED:
        raise ConfigurationError(
            last, hint="Start the version that has made them: two versions do not work side by side"
        )
    if REFUSAL in text:
        raise ConfigurationError(text.rpartition(REFUSAL)[2])
    return last
