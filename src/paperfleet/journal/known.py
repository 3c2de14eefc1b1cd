"""What is known to be at the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paperfleet.journal.queries import queries
from paperfleet.model import KnownFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from paperfleet.journal.database import Database

_SQL = queries("known")
_DIGEST_DIGITS = 64
_INTEGER = range(-(2**63), 2**63)

Row = tuple[str, str, int, bytes, int | str | None, str | None, str | None, str | None, int, Any]


class KnownFiles:
    """The table of known files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self) -> Iterator[KnownFile]:
        """Yield every known file, ordered by name (code points).

        What is yielded is the state when the first is asked for, whatever is written meanwhile.
        """
        return map(from_row, self._database.stream(_SQL["all"]))

    def known_at(self, names: Iterable[str]) -> dict[str, KnownFile]:
        """Return, by name, the files of these names and all below them as folders; '' is all."""
        rows = (
            row for name in set(names) for row in self._database.rows(_SQL["at"], names_at(name))
        )
        return {row[0]: from_row(row) for row in rows}

    def known_with_content(self, sha256s: Iterable[str]) -> list[KnownFile]:
        """Return the files, sure and unsure, whose content was last known to have such a digest."""
        digests = {_digest(sha256) for sha256 in sha256s if sha256}
        return [
            from_row(row)
            for digest in digests
            for row in self._database.rows(_SQL["with_content"], (digest,))
        ]

    def count_known(self) -> int:
        """Return the number of known files."""
        return int(self._database.value(_SQL["count"]))

    def count_proven(self) -> int:
        """Return the number of known files that are not in doubt."""
        return int(self._database.value(_SQL["count_proven"]))

    def in_doubt(self) -> list[KnownFile]:
        """Return the files of which nobody saw whether they are at the target."""
        return [from_row(row) for row in self._database.rows(_SQL["in_doubt"])]

    def take_over(self, rows: Iterable[KnownFile]) -> None:
        """Add rows for names that have none."""
        with self._database.transaction() as connection:
            connection.executemany(_SQL["take_over"], map(_to_row, rows))

    def remember(self, upserts: Iterable[KnownFile] = (), forgets: Iterable[str] = ()) -> None:
        """Forget names and take over rows, in this order and one transaction."""
        with self._database.transaction() as connection:
            write_known(connection, upserts, forgets)


def names_at(folder: str) -> tuple[str, str, str | bytes]:
    """Return a name, and from where to where (exclusive) the names below it as a folder sort.

    Everything lies below '': SQLite sorts every text before every blob.
    """
    return (folder, f"{folder}/", f"{folder}0") if folder else ("", "", b"")


def write_known(
    connection: sqlite3.Connection, upserts: Iterable[KnownFile], forgets: Iterable[str]
) -> None:
    """Forget names, then insert or replace rows, within the caller's transaction."""
    connection.executemany(_SQL["forget"], ((name,) for name in forgets))
    connection.executemany(_SQL["upsert"], map(_to_row, upserts))


def doubt_known(connection: sqlite3.Connection, doubts: Iterable[KnownFile]) -> None:
    """Make rows unsure within the caller's transaction.

    A row that exists keeps what it says and takes over the intended digest where there is one; a
    row that does not is inserted.
    """
    connection.executemany(_SQL["doubt"], map(_to_row, doubts))


def _to_row(known: KnownFile) -> Row:
    intended = known.intended_sha256
    return (
        known.name,
        known.target_name,
        known.size,
        _digest(known.sha256),
        to_column(known.modified_ns),
        known.file_id,
        known.version,
        known.target_etag,
        int(known.sure),
        None if intended is None else _digest(intended),
    )


def from_row(row: Row) -> KnownFile:
    """Return the known file of a row with the columns of the table, in its order."""
    name, target, size, digest, modified, file_id, version, etag, sure, intended = row
    return KnownFile(
        name,
        target,
        size,
        digest.hex(),
        from_column(modified),
        file_id,
        version,
        etag,
        sure == 1,
        None if intended is None else intended.hex(),
    )


def to_column(modified_ns: int | None) -> int | str | None:
    """Return a time as SQLite can hold it: its digits beyond 64 bits."""
    return modified_ns if modified_ns is None or modified_ns in _INTEGER else str(modified_ns)


def from_column(modified_ns: int | str | None) -> int | None:
    """Return the time that ``to_column`` was given."""
    return int(modified_ns) if isinstance(modified_ns, str) else modified_ns


def _digest(sha256: str) -> bytes:
    """Return the 32 bytes of a hex digest, none for ''; raise ``ValueError`` for anything else."""
    if sha256 and len(sha256) != _DIGEST_DIGITS:
        raise ValueError(f"Not a SHA-256 in hex: {sha256!r}")
    return bytes.fromhex(sha256)
