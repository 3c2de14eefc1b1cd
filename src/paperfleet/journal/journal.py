"""The journal of one mirror: the whole of its tables behind one door."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from paperfleet.journal.differences import Comparison
from paperfleet.journal.facts import Facts
from paperfleet.journal.known import KnownFiles
from paperfleet.journal.opening import claim, lock_and_create, open_for_writing
from paperfleet.journal.operations import Operations
from paperfleet.journal.quarantine import Quarantine
from paperfleet.journal.refusals import Refusals
from paperfleet.journal.view import JournalView

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from paperfleet.journal.database import Database
    from paperfleet.journal.processlock import ProcessLock


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
