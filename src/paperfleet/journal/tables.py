"""What the guard holds back until somebody approves it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from paperfleet.journal.database import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from paperfleet.journal.database import Database
    from paperfleet.model import Held, Loss

STRANGERS = "strangers"
"""The fact: their number by folder of the target."""


def counted(fact: object) -> int:
    """Return how many there are in all folders."""
    return sum(map(int, fact.values())) if isinstance(fact, dict) else 0


_QUARANTINE_SQL = queries("quarantine")


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
            return int(connection.execute(_QUARANTINE_SQL["add"], fields).fetchall()[0][0])

    def release(self, names: Iterable[str]) -> None:
        """Let names out; those that are not in are ignored."""
        with self._database.transaction() as connection:
            connection.executemany(_QUARANTINE_SQL["release"], ((name,) for name in names))

    def quarantined(self) -> list[Quarantined]:
        """Return what is in quarantine, by name."""
        return [Quarantined(*row) for row in self._database.rows(_QUARANTINE_SQL["all"])]


JsonValue: TypeAlias = (
    "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
"""What JSON can say. What was a sequence comes back as a ``list``, a mapping as a ``dict``."""

_FACTS_SQL = queries("facts")


class Facts:
    """The tables of facts and of folder etags."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_fact(self, key: str) -> JsonValue:
        """Return the fact, None when there is none."""
        rows = self._database.rows(_FACTS_SQL["get"], (key,))
        return cast("JsonValue", json.loads(rows[0][0])) if rows else None

    def set_fact(self, key: str, value: JsonValue) -> None:
        """Keep a fact; raise ``ValueError`` for NaN, infinities and lone surrogates."""
        # Escapes would let lone surrogates pass that SQLite refuses.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        with self._database.transaction() as connection:
            connection.execute(_FACTS_SQL["set"], (key, text))

    def folder_etags(self) -> dict[str, str]:
        """Return the etag of each folder of the target, by name; '' is the root."""
        return dict(self._database.rows(_FACTS_SQL["etags"]))

    def set_folder_etags(self, etags: Mapping[str, str], gone: Iterable[str] = ()) -> None:
        """Forget the folders that are gone, then take over etags, in one transaction."""
        with self._database.transaction() as connection:
            connection.executemany(_FACTS_SQL["forget_etag"], ((name,) for name in gone))
            connection.executemany(_FACTS_SQL["set_etag"], etags.items())


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
