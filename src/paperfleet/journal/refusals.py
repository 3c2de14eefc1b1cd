"""What the guard holds back until somebody approves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.journal.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paperfleet.journal.database import Database

_SQL = queries("refusals")


class Refusal(NamedTuple):
    """One refused name; ``since`` in Unix time."""

    name: str
    reason: str
    since: float
    approved: bool


class Refusals:
    """The table of refused names."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def refuse(self, names: Iterable[str], reason: str) -> None:
        """Make these the refused names, instead of those before.

        A name that stays keeps its ``since`` and its approval; one that comes is not approved.
        """
        now, refused = self._clock(), set(names)
        with self._database.transaction() as connection:
            before = {row[0] for row in connection.execute(_SQL["all"]).fetchall()}
            connection.executemany(_SQL["drop"], ((name,) for name in before - refused))
            connection.executemany(_SQL["refuse"], ((name, reason, now) for name in refused))

    def refusals(self) -> list[Refusal]:
        """Return the refused names, approved ones too, by name."""
        rows = self._database.rows(_SQL["all"])
        return [
            Refusal(name, reason, since, approved == 1) for name, reason, since, approved in rows
        ]

    def approved(self) -> set[str]:
        """Return the refused names that somebody has approved since."""
        return {row[0] for row in self._database.rows(_SQL["approved"])}

    def approve(self) -> int:
        """Approve all that is refused now; return how many names that is."""
        with self._database.transaction() as connection:
            return connection.execute(_SQL["approve_all"]).rowcount
