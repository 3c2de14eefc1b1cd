"""The journal of one mirror: the whole of its tables behind one door."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from paperfleet.journal.database import Database, queries
from paperfleet.journal.known import Comparison, KnownFiles
from paperfleet.journal.opening import claim, lock_and_create, open_for_reading, open_for_writing
from paperfleet.journal.operations import Operations
from paperfleet.journal.tables import STRANGERS, Facts, Quarantine, Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from paperfleet.journal.opening import ProcessLock
    from paperfleet.journal.operations import PendingOperation
    from paperfleet.journal.tables import JsonValue, Quarantined, Refusal
    from paperfleet.model import KnownFile

LOOK_AGAIN = "look_again"
"""The fact with the names that another process asks the mirror to look at."""


class JournalView:
    """A journal read beside the mirror that writes it. Every method sees the latest commit.

    Raises ``JournalError`` when there is no journal, or one of another schema.
    """

    def __init__(self, path: Path) -> None:
        self._database = open_for_reading(path)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Let go of the file; closing twice is harmless."""
        self._database.close()

    def pair(self) -> tuple[str, str]:
        """Return the labels of the source and the target, empty when no mirror has begun."""
        rows = self._database.rows(queries("schema")["pair"])
        return (str(rows[0][0]), str(rows[0][1])) if rows else ("", "")

    def count_known(self) -> int:
        """Return the number of files that are at the target or may be, those in doubt too."""
        return KnownFiles(self._database).count_known()

    def count_proven(self) -> int:
        """Return the number of files that were sent, or found there, and seen to have arrived."""
        return KnownFiles(self._database).count_proven()

    def pending(self, limit: int = -1) -> list[PendingOperation]:
        """Return the operations that have not ended, the oldest first; all for a limit of -1."""
        return Operations(self._database, time.time).pending(limit)

    def count_pending(self) -> int:
        """Return the number of operations that have not ended."""
        return Operations(self._database, time.time).count_pending()

    def quarantined(self) -> list[Quarantined]:
        """Return what is in quarantine, by name."""
        return Quarantine(self._database, time.time).quarantined()

    def refusals(self) -> list[Refusal]:
        """Return what the guard holds back, by name."""
        return Refusals(self._database, time.time).refusals()

    def get_fact(self, key: str) -> JsonValue:
        """Return the fact, None when there is none."""
        return Facts(self._database).get_fact(key)

    def known(self) -> Iterator[KnownFile]:
        """Yield every file that is at the target or may be, those in doubt too."""
        return KnownFiles(self._database).known()

    def owner_of(self, target_name: str) -> str | None:
        """Return the name of the known file that is at the target under this name."""
        rows = self._database.rows(queries("differences")["owner"], (target_name,))
        return str(rows[0][0]) if rows else None

    def take_over(self, rows: Iterable[KnownFile], names: Sequence[str]) -> None:
        """Add rows for names that have none, and let the mirror look at the names."""
        database = Database(self._database.path, "rw")
        try:
            KnownFiles(database).take_over(rows)
            facts = Facts(database)
            waiting = facts.get_fact(LOOK_AGAIN)
            before = waiting if isinstance(waiting, list) else []
            facts.set_fact(LOOK_AGAIN, [*before, *names])
        finally:
            database.close()

    def set_strangers(self, counts: Mapping[str, int]) -> None:
        """Write down how many files each folder of the target has that are nobody's here."""
        database = Database(self._database.path, "rw")
        try:
            Facts(database).set_fact(STRANGERS, dict(counts))
        finally:
            database.close()

    def approve(self) -> int:
        """Approve all that is refused now; return how many names that is."""
        database = Database(self._database.path, "rw")
        try:
            return Refusals(database, time.time).approve()
        finally:
            database.close()


class Journal(KnownFiles, Comparison, Operations, Quarantine, Refusals, Facts):
    """What we know to be at the target, and what we were doing.

    One process has it open, through ``Journal.open``. Its threads share one connection under one
    lock, so that any of them may call any method; each method that writes is one transaction.
    Others read through ``Journal.read``.

    A transaction survives the death of the process. ``record`` and all before it survive a power
    cut too; what came after it may be lost then, in whole transactions from the last backwards.
    Every method raises ``JournalError`` when SQLite or the disk fails, or for a step that an
    operation cannot take, and ``ValueError`` for text that is not UTF-8; nothing is written then.
    """

    def __init__(self, database: Database, lock: ProcessLock, clock: Callable[[], float]) -> None:
        """Take over an open database and its lock; use ``Journal.open``."""
        self._database = database
        self._lock = lock
        self._clock = clock

    @classmethod
    def open(
        cls, path: Path, *, source: str, target: str, clock: Callable[[], float] = time.time
    ) -> Journal:
        """Open the journal for this process alone; create it, and its folder, when absent.

        ``source`` and ``target`` are labels without secrets; a journal belongs to one pair.
        Raises ``JournalError`` when another process has it open, when it is corrupt, not ours, of a
        newer schema or of another pair, when it cannot be written, and on a network filesystem.
        """
        lock = lock_and_create(path)
        try:
            database = open_for_writing(path)
        except BaseException:
            lock.release()
            raise
        journal = cls(database, lock, clock)
        try:
            claim(database, source, target, clock())
        except BaseException:
            journal.close()
            raise
        return journal

    @classmethod
    def read(cls, path: Path) -> JournalView:
        """Open the journal beside the mirror; raise ``JournalError`` when there is none."""
        return JournalView(path)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Let go of the file and of the lock; closing twice is harmless."""
        try:
            self._database.close()
        finally:
            self._lock.release()
