"""What is known to be at the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from paperfleet.journal.database import queries
from paperfleet.model import FileStat, KnownFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from paperfleet.journal.database import Database

_FOUND_SQL = queries("differences")
_STAT_COLUMNS = 5


class Differences(NamedTuple):
    """What a scan found to differ from the journal.

    ``changed``: each file whose stat differs from its row's, that has no row, or whose row is
    unsure, with that row. ``vanished``: rows of which the scan found no file. ``found``: how many
    files the scan saw.
    """

    changed: list[tuple[FileStat, KnownFile | None]]
    vanished: list[KnownFile]
    found: int


class Comparison:
    """Finds differences between a scan and the table of known files."""

    _database: Database

    def differences(self, found: Iterable[FileStat], scope: Iterable[str]) -> Differences:
        """Compare the files found under ``scope`` (names with all below them; '' is all).

        Compared is with the journal as it is when ``found`` is exhausted; others may write to it
        meanwhile. Raises ``ValueError`` for a name that is not UTF-8.
        """
        with self._database.aside() as connection:
            connection.execute(_FOUND_SQL["table"])
            connection.execute("BEGIN")
            connection.executemany(_FOUND_SQL["insert"], map(_found_row, found))
            changed = [
                (_stat(row[:_STAT_COLUMNS]), _known(row[_STAT_COLUMNS:]))
                for row in connection.execute(_FOUND_SQL["changed"])
            ]
            vanished = {
                row[0]: from_row(row)
                for name in scope
                for row in connection.execute(_FOUND_SQL["vanished"], names_at(name))
            }
            (count,) = connection.execute(_FOUND_SQL["count"]).fetchone()
        return Differences(changed, list(vanished.values()), int(count))

    def count_below(self, folder: str) -> int:
        """Return how many known files lie in a folder at any depth."""
        return int(self._database.rows(_FOUND_SQL["below"], names_at(folder))[0][0])

    def count_proven_below(self, folder: str) -> int:
        """Return how many files that are not in doubt lie in a folder at any depth."""
        return int(self._database.rows(_FOUND_SQL["proven_below"], names_at(folder))[0][0])

    def known_in(self, folder: str) -> list[KnownFile]:
        """Return the known files directly in a folder ('' is the root), none of deeper ones."""
        return [from_row(row) for row in self._database.rows(_FOUND_SQL["in"], names_at(folder))]

    def folders_in(self, folder: str) -> set[str]:
        """Return the folders directly in a folder that have known files at any depth."""
        rows = self._database.rows(_FOUND_SQL["folders_in"], names_at(folder))
        return {f"{folder}/{row[0]}" if folder else row[0] for row in rows}

    def owner_of(self, target_name: str) -> str | None:
        """Return the name of the known file that is at the target under this name."""
        rows = self._database.rows(_FOUND_SQL["owner"], (target_name,))
        return str(rows[0][0]) if rows else None

    def known_under_other_names(self) -> list[KnownFile]:
        """Return the known files whose name at the target is not the one at the source."""
        return [from_row(row) for row in self._database.rows(_FOUND_SQL["aliased"])]


def _found_row(stat: FileStat) -> tuple[str, int, int | str | None, str | None, str | None]:
    return (stat.name, stat.size, to_column(stat.modified_ns), stat.file_id, stat.etag)


def _stat(row: tuple[str, int, int | str | None, str | None, str | None]) -> FileStat:
    name, size, modified_ns, file_id, version = row
    return FileStat(name, size, from_column(modified_ns), version, file_id)


def _known(row: tuple[object, ...]) -> KnownFile | None:
    return from_row(row) if row[0] is not None else None  # type: ignore[arg-type]


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
    for name in forgets:
        connection.execute(_SQL["forget"], (name,))
    for known in upserts:
        connection.execute(_SQL["upsert"], _to_row(known))


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
