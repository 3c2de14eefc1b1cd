"""The one seam at which errors of SQLite and of the disk become ``JournalError``."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from paperfleet.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOVE_ASIDE: Final = (
    "Move it aside together with its -wal and -shm files and start again: nothing is lost,"
    " the journal is rebuilt from the target"
)

_ANSWERS: Final[dict[int, tuple[str, str]]] = {
    sqlite3.SQLITE_CORRUPT: ("is corrupt", MOVE_ASIDE),
    sqlite3.SQLITE_NOTADB: ("is not an SQLite database", MOVE_ASIDE),
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full", "Free some space on its disk"),
    sqlite3.SQLITE_READONLY: (
        "cannot be written",
        "Give this user the right to write the file and its folder, on a writable disk",
    ),
    sqlite3.SQLITE_PERM: ("may not be used", "Give this user the right to read and write it"),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "Check that it exists and that this user may read and write it and its folder",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "Check its disk: space, quota and the kernel's log",
    ),
    sqlite3.SQLITE_BUSY: ("is locked by another process", "Try again when that one has finished"),
    sqlite3.SQLITE_PROTOCOL: ("is locked by another process", "Try again in a moment"),
}
"""What each primary result code means here. Source: https://www.sqlite.org/rescode.html"""


def explain(path: Path, error: sqlite3.Error) -> JournalError:
    """Return the error that a person can act upon."""
    code = getattr(error, "sqlite_errorcode", None)  # absent when Python itself raised it
    primary = sqlite3.SQLITE_ERROR if code is None else code & 0xFF
    reason, hint = _ANSWERS.get(primary, ("failed", ""))
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return JournalError(f"The journal {path} {reason} ({name}: {error})", hint=hint)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn ``sqlite3.Error`` into ``JournalError``, and lone surrogates into ``ValueError``."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(path, error) from error
    except UnicodeEncodeError as error:
        reason = f"Only UTF-8 text goes into the journal, not {error.object!r:.300}"
        raise ValueError(reason) from error


@contextmanager
def explained_os(path: Path) -> Iterator[None]:
    """Turn ``OSError`` into ``JournalError``."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"The journal {path} cannot be opened ({error})",
            hint="Check that this user may write there, and that the disk is neither full nor"
            " read-only",
        ) from error
