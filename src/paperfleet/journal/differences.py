"""Compare what was found at the source with what is known, inside SQLite: memory stays flat."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.journal.known import from_column, from_row, names_at, to_column
from paperfleet.journal.queries import queries
from paperfleet.model import FileStat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from paperfleet.journal.database import Database
    from paperfleet.model import KnownFile

_SQL = queries("differences")
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
            connection.execute(_SQL["table"])
            connection.execute("BEGIN")
            connection.executemany(_SQL["insert"], map(_to_row, found))
            changed = [
                (_stat(row[:_STAT_COLUMNS]), _known(row[_STAT_COLUMNS:]))
                for row in connection.execute(_SQL["changed"])
            ]
            vanished = {
                row[0]: from_row(row)
                for name in scope
                for row in connection.execute(_SQL["vanished"], names_at(name))
            }
            (count,) = connection.execute(_SQL["count"]).fetchone()
        return Differences(changed, list(vanished.values()), int(count))

    def count_below(self, folder: str) -> int:
        """Return how many known files lie in a folder at any depth."""
        return int(self._database.rows(_SQL["below"], names_at(folder))[0][0])

    def count_proven_below(self, folder: str) -> int:
        """Return how many files that are not in doubt lie in a folder at any depth."""
        return int(self._database.rows(_SQL["proven_below"], names_at(folder))[0][0])

    def known_in(self, folder: str) -> list[KnownFile]:
        """Return the known files directly in a folder ('' is the root), none of deeper ones."""
        return [from_row(row) for row in self._database.rows(_SQL["in"], names_at(folder))]

    def folders_in(self, folder: str) -> set[str]:
        """Return the folders directly in a folder that have known files at any depth."""
        rows = self._database.rows(_SQL["folders_in"], names_at(folder))
        return {f"{folder}/{row[0]}" if folder else row[0] for row in rows}

    def owner_of(self, target_name: str) -> str | None:
        """Return the name of the known file that is at the target under this name."""
        rows = self._database.rows(_SQL["owner"], (target_name,))
        return str(rows[0][0]) if rows else None

    def known_under_other_names(self) -> list[KnownFile]:
        """Return the known files whose name at the target is not the one at the source."""
        return [from_row(row) for row in self._database.rows(_SQL["aliased"])]


def _to_row(stat: FileStat) -> tuple[str, int, int | str | None, str | None, str | None]:
    return (stat.name, stat.size, to_column(stat.modified_ns), stat.file_id, stat.etag)


def _stat(row: tuple[str, int, int | str | None, str | None, str | None]) -> FileStat:
    name, size, modified_ns, file_id, version = row
    return FileStat(name, size, from_column(modified_ns), version, file_id)


def _known(row: tuple[object, ...]) -> KnownFile | None:
    return from_row(row) if row[0] is not None else None  # type: ignore[arg-type]
