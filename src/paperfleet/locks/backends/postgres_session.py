"""A connection to PostgreSQL on which no request takes for ever."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import psycopg

from paperfleet.errors import ConfigurationError, LeaseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IDLE_SESSION_TIMEOUT_SINCE = 140_000  # the release notes of PostgreSQL 14


class PostgresSession:
    """An open session in autocommit, with the table there.

    Every method raises ``LeaseError`` when the server does not answer within ``timeout`` seconds,
    and ``ConfigurationError`` for what waiting does not help: missing rights, a pooler in between.
    """

    def __init__(self, parameters: Mapping[str, Any], label: str, timeout: float) -> None:
        self._label, self._timeout = label, timeout
        self._silence = 0.0
        with translated(label):
            self._connection = psycopg.connect(
                **{
                    "application_name": "paperfleet lease",
                    "target_session_attrs": "read-write",
                    "connect_timeout": max(2, round(timeout)),
                    **parameters,
                },
                autocommit=True,
            )
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        if self.value("SELECT pg_backend_pid()") != self._connection.info.backend_pid:
            raise ConfigurationError(
                f"{self._label} leads to a connection pooler, behind which leases do not hold",
                hint="Give the address of the PostgreSQL server itself",
            )
        # A generation must outlive a crash; stronger settings than 'on' are left as they are.
        self.value(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        if self.value("SELECT to_regclass('paperfleet_lease')") is None:
            self._create()

    def _create(self) -> None:
        with translated(self._label), self._bounded(), self._connection.transaction():
            # IF NOT EXISTS alone fails when two create at one time.
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [key_of("")])
            self._connection.execute(source("create"))

    def value(self, query: str, parameters: Mapping[str, object] | None = None) -> object:
        """Return the first column of the first row, or None."""
        with translated(self._label), self._bounded():
            row = self._connection.execute(query.encode(), parameters).fetchone()
        return row[0] if row else None

    def change(self, query: str, parameters: Mapping[str, object]) -> int:
        """Return how many rows a statement has changed."""
        with translated(self._label), self._bounded():
            return self._connection.execute(query.encode(), parameters).rowcount

    def end_when_silent_for(self, seconds: float) -> None:
        """Let the server end the session after so much silence."""
        known = self._connection.info.server_version >= IDLE_SESSION_TIMEOUT_SINCE
        if known and seconds != self._silence:
            self._silence = seconds
            self.value(
                "SELECT set_config('idle_session_timeout', %(time)s, false)",
                {"time": f"{round(seconds * 1000)}ms"},
            )

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, as far as its last use has shown."""
        return self._connection.closed

    def close(self) -> None:
        """End the session; the server lets go of its locks."""
        self._connection.close()

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Cut the connection when the block takes too long: libpq itself waits for ever."""
        watchdog = threading.Timer(self._timeout, self._cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def _cut(self) -> None:
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._connection.fileno())) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)


@contextmanager
def translated(label: str) -> Iterator[None]:
    """Turn psycopg's errors into ours, without the causes: they hold the connection's parameters.

    ``LeaseError`` where the server does not answer, ``ConfigurationError`` where waiting is no use.
    """
    try:
        yield
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(
            f"{label} cannot keep leases: {_line(error)}", hint=table_hint()
        ) from None
    except psycopg.Error as error:
        raise LeaseError(f"{label} does not answer: {_line(error)}") from None


def table_hint() -> str:
    """Return how the table of leases is made, and what its user needs."""
    return (
        f"The table is made by: {' '.join(source('create').split())}; the user needs the rights to"
        " SELECT, INSERT and UPDATE"
    )


def key_of(name: str) -> int:
    """Return the number that an advisory lock has instead of a name: 64 bits with sign."""
    digest = hashlib.sha256(f"paperfleet lease {name}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@cache
def source(name: str) -> str:
    """Return a packaged SQL statement."""
    return (files("paperfleet.locks") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def _line(error: psycopg.Error) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
