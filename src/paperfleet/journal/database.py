"""One SQLite connection, shared by all threads of a process under one lock."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Literal

from paperfleet.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MOVE_ASIDE: Final = (
    "Move it aside together with its -wal and -shm files and start again: nothing is lost,"
    " the journal is rebuilt from the target"
)

_ANSWERS: Final[dict[int, tuple[str, str]]] = {
    sqlite3.SQLITE_CORRUPT: ("is corrupt", MOVE_ASIDE),
    sqlite3.SQLITE_NOTADB: ("is not an SQLite database", MOVE_ASIDE),
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full", "Free some space on its disk"),
    sqlite3.SQLITE_READONLY: (
        "cannot be written",
        "Give this user the right to write the file and its folder, on a writable disk",
    ),
    sqlite3.SQLITE_PERM: ("may not be used", "Give this user the right to read and write it"),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "Check that it exists and that this user may read and write it and its folder",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "Check its disk: space, quota and the kernel's log",
    ),
    sqlite3.SQLITE_BUSY: ("is locked by another process", "Try again when that one has finished"),
    sqlite3.SQLITE_PROTOCOL: ("is locked by another process", "Try again in a moment"),
}
"""What each primary result code means here. Source: https://www.sqlite.org/rescode.html"""


def explain(path: Path, error: sqlite3.Error) -> JournalError:
    """Return the error that a person can act upon."""
    code = getattr(error, "sqlite_errorcode", None)  # absent when Python itself raised it
    primary = sqlite3.SQLITE_ERROR if code is None else code & 0xFF
    reason, hint = _ANSWERS.get(primary, ("failed", ""))
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return JournalError(f"The journal {path} {reason} ({name}: {error})", hint=hint)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn ``sqlite3.Error`` into ``JournalError``, and lone surrogates into ``ValueError``."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(path, error) from error
    except UnicodeEncodeError as error:
        reason = f"Only UTF-8 text goes into the journal, not {error.object!r:.300}"
        raise ValueError(reason) from error


@contextmanager
def explained_os(path: Path) -> Iterator[None]:
    """Turn ``OSError`` into ``JournalError``."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"The journal {path} cannot be opened ({error})",
            hint="Check that this user may write there, and that the disk is neither full nor"
            " read-only",
        ) from error


MIGRATIONS: Final = ("migration_0001.sql", "migration_0002.sql")
"""Each brings the schema one version further; the schema's version is how many have run."""


def read_sql(file: str) -> str:
    """Return the text of one packaged SQL file."""
    return (files("paperfleet.journal") / "sql" / file).read_text(encoding="utf-8")


@cache
def queries(table: str) -> dict[str, str]:
    """Return the named statements of ``sql/<table>.sql``."""
    return statements(read_sql(f"{table}.sql"))


def statements(text: str) -> dict[str, str]:
    """Return the named statements of a text of SQL."""
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: sql.strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}


_OLDEST: Final = (3, 37, 0)
"""The first SQLite with STRICT tables."""

Mode = Literal["ro", "rw", "still"]
_URI: Final = {"still": "ro&immutable=1"}

_BUSY_SECONDS: Final = 10.0
"""How long to wait for the transaction of another process."""


class Database:
    """A connection with its lock; every ``sqlite3.Error`` leaves it as a ``JournalError``.

    Any thread may call any method; one at a time gets in. ``mode`` is that of an SQLite URI: the
    file must exist. ``still`` reads a file that nobody writes, and makes none beside it.
    Transactions are durable against the death of the process; against a power cut only those asked
    to be, and with them all before them.
    """

    def __init__(self, path: Path, mode: Mode) -> None:
        self.path = path
        self._lock = RLock()
        self._connection = _connect(path, mode)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query."""
        with self._lock, explained(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def value(self, sql: str) -> Any:  # noqa: ANN401  # whatever SQLite answers
        """Return the only column of the only row."""
        return self.rows(sql)[0][0]

    def stream(self, sql: str) -> Iterator[Any]:
        """Yield the rows as they are when the first is asked for; no lock is held meanwhile."""
        with self.aside() as connection:
            yield from connection.execute(sql)

    @contextmanager
    def aside(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection of its own, to read and for temporary tables; no lock is held."""
        with explained(self.path), closing(_connect(self.path, "ro")) as connection:
            # A container with a read-only root may have no folder for temporary files.
            connection.execute("PRAGMA temp_store = MEMORY")
            yield connection

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Commit at the end of the block; undo everything when it raises.

        ``durable`` makes the commit wait for the disk, so that it survives a power cut.
        """
        with self._lock, explained(self.path):
            connection = self._connection
            _check_idle(connection)
            if durable:
                connection.execute("PRAGMA synchronous = FULL")
            try:
                # IMMEDIATE: one that reads first and writes later could fail as busy in its middle.
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if durable:  # most transactions may be lost with the power
                    connection.execute("PRAGMA synchronous = NORMAL")

    def script(self, sql: str) -> None:
        """Run several statements in one transaction."""
        with self._lock, explained(self.path):
            try:
                self._connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\nCOMMIT;")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def use_wal(self) -> None:
        """Let readers and the writer of several processes work side by side."""
        mode = self.value("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise JournalError(
                f"The journal {self.path} lies on a filesystem without shared memory",
                hint="Put the journal on a local disk",
            )
        self.rows("PRAGMA synchronous = NORMAL")
        self.rows("PRAGMA journal_size_limit = 16777216")

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        with self._lock, explained(self.path):
            self._connection.close()


def _check_idle(connection: sqlite3.Connection) -> None:
    """Raise when a lazily computed argument of one transaction begins another."""
    if connection.in_transaction:
        raise JournalError(
            "A transaction of the journal was begun within another",
            hint="This is a fault in Paperfleet; please report it",
        )


def _connect(path: Path, mode: Mode) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < _OLDEST:
        raise JournalError(
            f"This Python brings SQLite {sqlite3.sqlite_version}; the journal needs 3.37",
            hint="Use a Python that is linked with a newer SQLite",
        )
    with explained(path):
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={_URI.get(mode, mode)}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
