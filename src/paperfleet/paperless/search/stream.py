"""The stream of changes that search indexes follow: a table of the database, and a cursor.

PostgreSQL gives out numbers before the commit, so that a row may appear after a later one. Each row
has the number of its transaction; whoever reads asks again for all rows of transactions that were
not over the last time (``txid_snapshot_xmin``), and knows those that it has seen. So nothing waits
for a long transaction, and nothing that commits late is passed over.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import NotSupportedError, ProgrammingError, connection, transaction

from paperfleet.paperless.models import SearchChange, SearchReplica

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

MARK: Final = 0
"""In the place of a document: nothing changed; an index that is being built wrote it."""
REINDEX: Final = -1
"""In the place of a document: somebody asks for all indexes to be built anew."""
UNKNOWN: Final = -2
"""In the place of a document: changes may be missing before this row."""
MOST: Final = 100_000
"""How many rows are kept; an index that is further behind is built anew."""
KEPT_DAYS: Final = 7
KEPT_ROWS: Final = 1000
"""The newest rows, which stay however old they are."""

_TABLE: Final = SearchChange._meta.db_table  # noqa: SLF001  # Django's documented name
_REPLICAS: Final = SearchReplica._meta.db_table  # noqa: SLF001


class Row(NamedTuple):
    """A row of the stream."""

    number: int
    xid: int
    document: int


class Cursor(NamedTuple):
    """Until where an index has followed.

    ``row`` and ``xid`` are the latest row that it has seen, which shows that the stream is the same
    one. ``horizon``: every transaction with a lower number was over. ``system`` is the database
    cluster that counts them.
    """

    row: int
    xid: int
    horizon: int
    system: str


class Read(NamedTuple):
    """What was found from a cursor on, its own row included, and the horizon of before."""

    rows: list[Row]
    horizon: int


_listeners: list[Callable[[], None]] = []


def listen_with(listener: Callable[[], None] | None) -> None:
    """From now on tell ``listener`` of what this process has committed; None for nobody."""
    _listeners[:] = [] if listener is None else [listener]


def write(documents: Iterable[int]) -> None:
    """Write rows, in the transaction that is open; raise ``django.db.DatabaseError``."""
    numbers = sorted(set(documents))
    if _diverted:
        _diverted[-1].extend(numbers)
        return
    if not numbers:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_TABLE} (document, xid, happened)"  # noqa: S608  # no value
            " SELECT one, txid_current(), clock_timestamp() FROM unnest(%s::bigint[]) AS one",
            [numbers],
        )
    transaction.on_commit(_tell)


_diverted: list[list[int]] = []


@contextlib.contextmanager
def diverted() -> Iterator[list[int]]:
    """Within this block nothing is written, but noted in the list; for the self-test."""
    noted: list[int] = []
    _diverted.append(noted)
    try:
        yield noted
    finally:
        _diverted.pop()


def _tell() -> None:
    for listener in _listeners:
        listener()


def begin() -> tuple[Cursor, Collection[int]]:
    """Return a cursor for an index that is built from now on, and the rows that it will cover."""
    system, horizon, _ = _where()
    write([MARK])
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, xid FROM {_TABLE} WHERE xid >= %s ORDER BY id",  # noqa: S608
            [horizon],
        )
        found = cursor.fetchall()
    row, xid = found[-1]
    return Cursor(row, xid, horizon, system), {number for number, _ in found}


def read(after: Cursor) -> Read | None:
    """Return the rows from a cursor on, and those of transactions that were not over then.

    None when rows may be missing between. Raises ``DatabaseError``.
    """
    system, horizon, newest = _where()
    if system != after.system or after.horizon > newest:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, xid, document FROM {_TABLE}"  # noqa: S608  # no value
            " WHERE id >= %s OR xid >= %s ORDER BY id",
            [after.row, after.horizon],
        )
        found = [Row(*one) for one in cursor.fetchall()]
    if not any(one.number == after.row and one.xid == after.xid for one in found):
        return None
    return Read(found, horizon)


def _where() -> tuple[str, int, int]:
    """Return the cluster, the horizon, and the number of the next transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT txid_snapshot_xmin(s), txid_snapshot_xmax(s) FROM txid_current_snapshot() AS s"
        )
        horizon, newest = cursor.fetchone()
    return _system(), int(horizon), int(newest)


def _system() -> str:
    """Return the name of the database cluster; '' where a hosted one does not tell."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
            return str(cursor.fetchone()[0])
    except (ProgrammingError, NotSupportedError):
        return ""


def prune() -> None:
    """Remove rows that are old, and replicas that nobody has heard of for as long."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {_TABLE} WHERE happened < now() - %s * interval '1 day'"  # noqa: S608
            f" AND id < (SELECT max(id) FROM {_TABLE}) - %s",
            [KEPT_DAYS, KEPT_ROWS],
        )
        cursor.execute(
            f"DELETE FROM {_TABLE} WHERE id < (SELECT max(id) FROM {_TABLE}) - %s",  # noqa: S608
            [MOST],
        )
        cursor.execute(
            f"DELETE FROM {_REPLICAS} WHERE seen < now() - interval '1 day'",  # noqa: S608
        )


def note_replica(replica: str, host: str, age: float | None, state: str) -> None:
    """Tell of an index that has everything until ``age`` seconds ago; None before it is built."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {_REPLICAS} (replica, host, current, seen, state)"  # noqa: S608
            " VALUES (%(replica)s, %(host)s, now() - %(age)s * interval '1 second', now(),"
            " %(state)s) ON CONFLICT (replica) DO UPDATE SET host = excluded.host,"
            " current = excluded.current, seen = excluded.seen, state = excluded.state",
            {"replica": replica, "host": host, "age": age, "state": state},
        )


class KnownReplica(NamedTuple):
    """An index of the fleet: ages in seconds, ``lag`` None before it was built."""

    host: str
    lag: float | None
    silent: float
    state: str

    def is_current(self, longest: float) -> bool:
        """Say whether it was heard of lately, and was no more than so many seconds behind."""
        return self.lag is not None and self.lag + self.silent <= longest


def told(one: KnownReplica) -> str:
    """Return a line for people about an index."""
    what = "is not built yet" if one.lag is None else f"was {one.lag:.1f} s behind"
    state = f" ({one.state})" if one.state else ""
    return f"the search index of {one.host} {what}{state}, {one.silent:.0f} s ago"


def replicas() -> list[KnownReplica]:
    """Return the indexes of the fleet that were heard of within the last day."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT host, extract(epoch FROM seen - current)::float,"  # noqa: S608
            " extract(epoch FROM now() - seen)::float, state"
            f" FROM {_REPLICAS} ORDER BY host, replica"
        )
        return [KnownReplica(*one) for one in cursor.fetchall()]
