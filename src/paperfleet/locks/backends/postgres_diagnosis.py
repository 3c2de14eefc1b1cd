"""Whether a PostgreSQL can keep leases: looked at in a transaction that may only read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from paperfleet.diagnosis import of_error, ok, problem, warning
from paperfleet.errors import PaperfleetError
from paperfleet.locks.backends.postgres_session import (
    IDLE_SESSION_TIMEOUT_SINCE,
    table_hint,
    translated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.diagnosis import CheckResult

_CONNECT_SECONDS = 10
_RIGHTS = ("SELECT", "INSERT", "UPDATE")


def looked(parameters: Mapping[str, Any], label: str) -> Iterator[CheckResult]:
    """Connect once, and tell what would keep leases from holding."""
    given = {"application_name": "paperfleet doctor", "connect_timeout": _CONNECT_SECONDS}
    try:
        with translated(label), psycopg.connect(**{**given, **parameters}) as connection:
            connection.read_only = True
            results = list(_asked(connection))
    except PaperfleetError as error:
        yield of_error(error)
        return
    yield from results


def _asked(connection: psycopg.Connection[Any]) -> Iterator[CheckResult]:
    pid, is_replica, table, may_make = _row(
        connection,
        "SELECT pg_backend_pid(), pg_is_in_recovery(), to_regclass('paperfleet_lease') IS NOT NULL,"
        " has_schema_privilege(current_schema(), 'CREATE')",
    )
    version = connection.info.server_version
    if pid != connection.info.backend_pid:
        yield problem(
            "there is a connection pooler between, behind which leases do not hold",
            "Give the address of the PostgreSQL server itself",
        )
    elif is_replica:
        yield problem("this server is a replica, which takes no writes", "Name the one that does")
    else:
        yield ok(f"PostgreSQL {version // 10_000} answers, and takes the password")
    if version < IDLE_SESSION_TIMEOUT_SINCE:
        yield warning(
            "before version 14 a holder that is stopped keeps its lease until its connection ends",
            "Upgrade PostgreSQL",
        )
    if not table:
        if may_make:
            yield ok("the table of leases is made at the first use")
        else:
            yield problem("there is no table of leases, and this user may make none", table_hint())
        return
    rights = _row(
        connection,
        "SELECT " + ", ".join(f"has_table_privilege('paperfleet_lease', '{r}')" for r in _RIGHTS),
    )
    missing = [name for name, has in zip(_RIGHTS, rights, strict=True) if not has]
    if missing:
        yield problem(f"this user may not {' and '.join(missing)} leases", table_hint())
    else:
        yield ok("the table of leases is there, and this user may use it")


def _row(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    found = connection.execute(query.encode()).fetchone()
    return found or ()
