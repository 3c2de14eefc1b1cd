"""What other processes see of a journal, and the one thing they may change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from paperfleet.journal.database import Database
from paperfleet.journal.facts import Facts
from paperfleet.journal.known import KnownFiles
from paperfleet.journal.opening import open_for_reading
from paperfleet.journal.operations import Operations
from paperfleet.journal.quarantine import Quarantine
from paperfleet.journal.queries import queries
from paperfleet.journal.refusals import Refusals

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from paperfleet.journal.facts import JsonValue
    from paperfleet.journal.operations import PendingOperation
    from paperfleet.journal.quarantine import Quarantined
    from paperfleet.journal.refusals import Refusal


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

    def approve(self) -> int:
        """Approve all that is refused now; return how many names that is."""
        database = Database(self._database.path, "rw")
        try:
            return Refusals(database, time.time).approve()
        finally:
            database.close()
