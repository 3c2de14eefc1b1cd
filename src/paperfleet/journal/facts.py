"""Small facts as JSON, and the folder etags of the target."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias, cast

from paperfleet.journal.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from paperfleet.journal.database import Database

JsonValue: TypeAlias = (
    "str | int | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
"""What JSON can say. What was a sequence comes back as a ``list``, a mapping as a ``dict``."""

_SQL = queries("facts")


class Facts:
    """The tables of facts and of folder etags."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_fact(self, key: str) -> JsonValue:
        """Return the fact, None when there is none."""
        rows = self._database.rows(_SQL["get"], (key,))
        return cast("JsonValue", json.loads(rows[0][0])) if rows else None

    def set_fact(self, key: str, value: JsonValue) -> None:
        """Keep a fact; raise ``ValueError`` for NaN, infinities and lone surrogates."""
        # Escapes would let lone surrogates pass that SQLite refuses.
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        with self._database.transaction() as connection:
            connection.execute(_SQL["set"], (key, text))

    def folder_etags(self) -> dict[str, str]:
        """Return the etag of each folder of the target, by name; '' is the root."""
        return dict(self._database.rows(_SQL["etags"]))

    def set_folder_etags(self, etags: Mapping[str, str], gone: Iterable[str] = ()) -> None:
        """Forget the folders that are gone, then take over etags, in one transaction."""
        with self._database.transaction() as connection:
            connection.executemany(_SQL["forget_etag"], ((name,) for name in gone))
            connection.executemany(_SQL["set_etag"], etags.items())

    def clear_folder_etags(self) -> None:
        """Forget all etags: nothing is known to be unchanged."""
        with self._database.transaction() as connection:
            connection.execute(_SQL["clear_etags"])
