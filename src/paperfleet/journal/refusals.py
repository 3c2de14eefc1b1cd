"""What the guard holds back until somebody approves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.journal.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.journal.database import Database
    from paperfleet.model import Held, Loss

_SQL = queries("refusals")


class Refusal(NamedTuple):
    """One refused name; ``since`` in Unix time; ``loss`` is what it would lose."""

    name: str
    reason: str
    since: float
    approved: bool
    loss: Loss = "delete"


class Refusals:
    """The table of refused names."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def refuse(self, held: Mapping[str, Held]) -> None:
        """Make these the refused names, instead of those before.

        A name that stays keeps its ``since``, and its approval as long as it loses the same; one
        that comes is not approved.
        """
        now = self._clock()
        with self._database.transaction() as connection:
            before = {row[0] for row in connection.execute(_SQL["all"]).fetchall()}
            connection.executemany(_SQL["drop"], ((name,) for name in before - held.keys()))
            rows = ((name, one.reason, now, one.loss) for name, one in held.items())
            connection.executemany(_SQL["refuse"], rows)

    def refusals(self) -> list[Refusal]:
        """Return the refused names, approved ones too, by name."""
        rows = self._database.rows(_SQL["all"])
        return [
            Refusal(name, reason, since, approved == 1, loss)
            for name, reason, since, approved, loss in rows
        ]

    def approved(self) -> dict[str, Loss]:
        """Return the refused names that somebody has approved since, and what they may lose."""
        return dict(self._database.rows(_SQL["approved"]))

    def approve(self) -> int:
        """Approve all that is refused now; return how many names that is."""
        with self._database.transaction() as connection:
            return connection.execute(_SQL["approve_all"]).rowcount
