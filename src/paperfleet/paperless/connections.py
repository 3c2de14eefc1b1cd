"""How many connections the processes of a host may open, beside what the database allows.

A pool is that of one process (``pool`` in the options of Django's database, from
``PAPERLESS_DB_POOLSIZE`` or ``PAPERLESS_DB_OPTIONS``). What is counted is the most that they may
open, not what they mostly have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import connection

from paperfleet.paperless.ownership import Fault
from paperfleet.settings import app
from paperfleet.settings.environment import values_of
from paperfleet.settings.fleet import STARTING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_POOL = 4
"""psycopg_pool's ``max_size`` where only ``min_size`` is given (its documentation)."""
_RESERVED = ("superuser_reserved_connections", "reserved_connections")


class Allowed(NamedTuple):
    """How many connections this user may have; ``why`` names the limit.

    ``direct`` is False where something may stand between, such as PgBouncer, which lets many
    connections be few.
    """

    most: int
    why: str
    direct: bool


class Counted(NamedTuple):
    """The most connections of one program; ``how`` tells what was counted."""

    most: int
    how: str


def counted(environ: Mapping[str, str]) -> list[Counted]:
    """Return the programs of this host; of a container with one role, that role alone."""
    pool = _pool()
    each = f"{pool} (pool)" if pool > 1 else "1"
    webs = _number(environ, "GRANIAN_WORKERS", "PAPERLESS_WEBSERVER_WORKERS")
    tasks = _number(environ, "PAPERLESS_TASK_WORKERS")
    programs = {
        # Without a pool each thread has one: what answers, and what follows changes for search.
        "web": _with_metrics(
            Counted(webs * max(pool, 2), f"web {webs} times {each if pool > 1 else 2}"),
            environ,
            pool,
        ),
        # A running task has one for its heartbeat and one for notes of what it writes, for moments;
        # the program above them has one too.
        "worker": Counted(tasks * (pool + 2) + 1, f"worker {tasks} times ({each} + 2) + 1"),
        # The lease of the role has one; the sweeper is a thread of the scheduler.
        "scheduler": Counted(max(pool, 2) + 1, f"scheduler {max(pool, 2)} + 1"),
        "consumer": Counted(pool + 1, f"consumer {each} + 1"),
    }
    role = environ.get(STARTING, "")
    return [programs[role]] if role in programs else list(programs.values())


def _with_metrics(web: Counted, environ: Mapping[str, str], pool: int) -> Counted:
    """Add the one connection by which one process of them answers for metrics, without a pool."""
    row = app.table()["metrics_port"]
    port = values_of({row.key: row}, environ).get(row.key, row.default)
    return Counted(web.most + 1, f"{web.how} + 1") if port and pool == 1 else web


def _pool() -> int:
    pool = settings.DATABASES["default"].get("OPTIONS", {}).get("pool")
    if not pool:
        return 1
    sizes = pool if isinstance(pool, dict) else {}
    return int(sizes.get("max_size") or max(_DEFAULT_POOL, sizes.get("min_size") or 0))


def _number(environ: Mapping[str, str], *variables: str) -> int:
    text = next((environ[name] for name in variables if environ.get(name)), "1")
    return max(1, int(text)) if text.isdigit() else 1


def allowed() -> Allowed:
    """Ask PostgreSQL how many connections this user may have."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting::int FROM pg_settings WHERE name = ANY(%s)",
            [["max_connections", *_RESERVED]],
        )
        found = dict(cursor.fetchall())
        cursor.execute(
            "SELECT rolsuper, rolconnlimit, datconnlimit, inet_server_port()"
            " FROM pg_roles, pg_database"
            " WHERE rolname = current_user AND datname = current_database()"
        )
        is_superuser, of_role, of_database, port = cursor.fetchone()
    reserved = sum(found.get(name, 0) for name in _RESERVED)
    server = found["max_connections"] - reserved
    limits = [(server, f"max_connections {found['max_connections']}, {reserved} of them reserved")]
    if not is_superuser:  # which no limit holds back
        limits += [(of_role, "the limit of its user")] * (of_role >= 0)
        limits += [(of_database, "the limit of this database")] * (of_database >= 0)
    most, why = min(limits)
    ours = settings.DATABASES["default"].get("PORT") or 5432
    return Allowed(most, why, direct=port is None or int(ours) == port)


def summary(environ: Mapping[str, str]) -> str:
    """Say what was counted for this host, and what the database allows."""
    return _told(counted(environ), allowed())


def _told(programs: list[Counted], limit: Allowed) -> str:
    most = sum(program.most for program in programs)
    how = ", ".join(program.how for program in programs)
    return (
        f"this host may open {most} connections to the database ({how}), and it allows"
        f" {limit.most} for all hosts ({limit.why})"
    )


def fault(environ: Mapping[str, str]) -> tuple[Fault, bool] | None:
    """Return that this host alone may open more than the database allows, and if that is sure."""
    programs, limit = counted(environ), allowed()
    if sum(program.most for program in programs) <= limit.most:
        return None
    hint = (
        "Raise max_connections of PostgreSQL, or lower the pool (PAPERLESS_DB_POOLSIZE,"
        " pool.max_size in PAPERLESS_DB_OPTIONS), PAPERLESS_WEBSERVER_WORKERS or"
        " PAPERLESS_TASK_WORKERS"
    )
    if not limit.direct:
        hint += ". (Its port is another one here: where PgBouncer stands between, this is no fault)"
    return Fault(_told(programs, limit), hint), limit.direct
