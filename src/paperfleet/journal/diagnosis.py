"""Whether the journal of a mirror can be used: read only, and nothing is made beside it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from paperfleet.diagnosis import Check, of_error, ok, problem, unknown, warning
from paperfleet.errors import JournalError
from paperfleet.filesystems import filesystem_type, is_network, nearest
from paperfleet.journal.database import MIGRATIONS, Database, explained_os, queries
from paperfleet.journal.opening import check_pages, checked_version
from paperfleet.journal.tables import Facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from paperfleet.diagnosis import CheckResult

PLACE, CONTENT = "place", "content"
_READING_SECONDS = 60.0


class JournalChecks:
    """The checks of one journal; ``pair`` returns the labels of the mirror's source and target.

    It returns None while one of them is not known.
    """

    def __init__(self, path: Path, pair: Callable[[], tuple[str, str] | None]) -> None:
        self._path, self._pair = path, pair

    def checks(self) -> list[Check]:
        """Return them, in this order."""
        return [
            Check(PLACE, self.place),
            Check(CONTENT, self.content, needs=(PLACE,), seconds=_READING_SECONDS),
        ]

    def place(self) -> Iterator[CheckResult]:
        """See whether a journal can be kept there."""
        kind = filesystem_type(self._path)
        if is_network(kind):
            yield problem(
                f"it would lie on a network filesystem ({kind}), which has not the locks it needs",
                "Name a file on a local disk (--journal)",
            )
            return
        there = nearest(self._path)
        folder = there if there.is_dir() else there.parent
        wanted = {folder} | ({there} if there.is_file() else set())
        if denied := [one for one in sorted(wanted) if not _may_write(one)]:
            yield problem(
                f"user {os.geteuid()} may not write {denied[0]}",
                "Give the user of the mirror the right to write there, on a disk that is not"
                " read-only; the doctor has to run as that user",
            )
            return
        yield ok(f"{self._path}, on {kind or 'some disk'}")

    def content(self) -> Iterator[CheckResult]:
        """Read it, where there is one."""
        with explained_os(self._path):
            if not self._path.exists():
                yield ok("there is none yet: the mirror makes it when it starts")
                return
            # Without a file for its log nobody has it open; SQLite would make one, and leave it.
            in_use = self._path.with_name(self._path.name + "-wal").exists()
        database = Database(self._path, "ro" if in_use else "still")
        try:
            version = checked_version(database)
            check_pages(database)
            if not version:
                yield ok("it is empty: the mirror sets it up when it starts")
                return
            yield from self._of_pair(database)
            if version < len(MIGRATIONS):
                yield ok("an older Paperfleet wrote it; the mirror brings it up to date")
                return
            yield from _told(database)
        except JournalError as error:
            yield of_error(error)
        finally:
            database.close()

    def _of_pair(self, database: Database) -> Iterator[CheckResult]:
        rows = [tuple(map(str, row)) for row in database.rows(queries("schema")["pair"])]
        pair = self._pair()
        if pair is None:
            yield unknown("whose it is cannot be told, as source or target is not known")
        elif rows and rows[0] != pair:
            yield problem(
                f"it belongs to {' -> '.join(rows[0])}, not to {' -> '.join(pair)}",
                "Give this pair a journal of its own, or move the old one aside if the pair was"
                " renamed",
            )
        else:
            yield ok("it can be read, is whole, and belongs to this source and target")


def _told(database: Database) -> Iterator[CheckResult]:
    """Tell why the mirror rests, if it does."""
    paused = Facts(database).get_fact("paused")
    if isinstance(paused, dict):
        yield warning(f"the mirror rests: {paused.get('reason', '')}", str(paused.get("hint", "")))


def _may_write(path: Path) -> bool:
    mode = os.W_OK | (os.X_OK if path.is_dir() else 0)
    with contextlib.suppress(OSError):
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return False
    return os.access(path, mode, effective_ids=True)
