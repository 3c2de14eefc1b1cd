"""Names that could not be brought over, and when each is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.journal.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paperfleet.journal.database import Database

_SQL = queries("quarantine")


class Quarantined(NamedTuple):
    """One name in quarantine; ``since`` and ``next_try`` in Unix time."""

    name: str
    reason: str
    hint: str
    attempts: int
    since: float
    next_try: float


class Quarantine:
    """The table of quarantined names."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def quarantine(self, name: str, reason: str, hint: str, next_try: float) -> int:
        """Put a name into quarantine, or keep it there; return its attempts so far, this one too.

        ``since`` stays that of the first attempt.
        """
        with self._database.transaction() as connection:
            fields = (name, reason, hint, self._clock(), next_try)
            return int(connection.execute(_SQL["add"], fields).fetchall()[0][0])

    def release(self, names: Iterable[str]) -> None:
        """Let names out; those that are not in are ignored."""
        with self._database.transaction() as connection:
            connection.executemany(_SQL["release"], ((name,) for name in names))

    def quarantined(self) -> list[Quarantined]:
        """Return what is in quarantine, by name."""
        return [Quarantined(*row) for row in self._database.rows(_SQL["all"])]
