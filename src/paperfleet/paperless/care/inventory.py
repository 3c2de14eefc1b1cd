"""What the database names and what a home holds, side by side in SQLite, out of memory."""

from __future__ import annotations

import sqlite3
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Self

from paperfleet.journal.database import statements
from paperfleet.model import FileStat
from paperfleet.paperless.documents.rows import Expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from paperfleet.paperless.homes import Home


@cache
def _sql() -> dict[str, str]:
    return statements((files("paperfleet.paperless") / "sql" / "inventory.sql").read_text("utf-8"))


class Inventory:
    """Two tables in a temporary file, for one thread."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._database = sqlite3.connect("")  # a file without a name: gone when it is closed

    def __enter__(self) -> Self:
        """Make the tables."""
        self._database.execute(_sql()["expected_table"])
        self._database.execute(_sql()["found_table"])
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Remove them."""
        self._database.close()

    def expect(self, expected: Iterable[Expected]) -> None:
        """Take in what the database names."""
        self._database.executemany(
            _sql()["expect"],
            ((e.area, self._key(e.name), _blob(e.name), e.row, e.checksum) for e in expected),
        )

    def find(self, area: str, found: Iterable[FileStat]) -> None:
        """Take in what lies in an area."""
        self._database.executemany(
            _sql()["find"],
            (
                (area, self._key(f.name), _blob(f.name), f.size, f.modified_ns, f.sha256)
                for f in found
            ),
        )

    def totals(self) -> tuple[int, int]:
        """Return how many files were found, and their bytes."""
        count, size = self._database.execute(_sql()["totals"]).fetchone()
        return count, size

    def missing(self) -> Iterator[Expected]:
        """Yield what the database names and nobody has."""
        for area, name, row, checksum in self._database.execute(_sql()["missing"]):
            yield Expected(area, _text(name), row, checksum)

    def present(self) -> Iterator[tuple[Expected, FileStat]]:
        """Yield what is on both sides and has a checksum in the database."""
        for area, name, row, checksum, *found in self._database.execute(_sql()["present"]):
            yield Expected(area, _text(name), row, checksum), _stat(*found)

    def orphaned(self) -> Iterator[tuple[str, FileStat]]:
        """Yield the area and the file of what no row names."""
        for area, *found in self._database.execute(_sql()["orphaned"]):
            yield area, _stat(*found)

    def owner(self, area: str, name: str) -> Expected | None:
        """Return the row that has a name."""
        found = self._database.execute(_sql()["owner"], (area, self._key(name))).fetchone()
        return Expected(area, _text(found[0]), found[1], found[2]) if found else None

    def has(self, area: str, name: str) -> bool:
        """Say whether a file was found under a name."""
        found = self._database.execute(_sql()["is_found"], (area, self._key(name)))
        return found.fetchone() is not None

    def _key(self, name: str) -> bytes:
        return _blob(self._home.key_of(name))


def _blob(name: str) -> bytes:
    """Return the bytes of a name, also of one that is no text."""
    return name.encode("utf-8", "surrogateescape")


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogateescape")


def _stat(name: bytes, size: int, modified_ns: int | None, sha256: str | None) -> FileStat:
    return FileStat(_text(name), size, modified_ns, sha256=sha256)
