"""SQL lives in files: one per table, each statement under a line ``-- name: …``."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

MIGRATIONS: Final = ("migration_0001.sql", "migration_0002.sql")
"""Each brings the schema one version further; the schema's version is how many have run."""


def read_sql(file: str) -> str:
    """Return the text of one packaged SQL file."""
    return (files("paperfleet.journal") / "sql" / file).read_text(encoding="utf-8")


@cache
def queries(table: str) -> dict[str, str]:
    """Return the named statements of ``sql/<table>.sql``."""
    return statements(read_sql(f"{table}.sql"))


def statements(text: str) -> dict[str, str]:
    """Return the named statements of a text of SQL."""
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: sql.strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}
