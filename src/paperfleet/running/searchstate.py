"""Until when the search index of this host has everything: a file that the web role tells probes.

It lies in the folder of the indexes, below the data folder. Its time of change is the time; its
content is the index that it is about.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from paperfleet.settings import app
from paperfleet.settings.environment import values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = Path("index", "fleet")
"""Below the data folder: the indexes of a fleet's host."""
_FILE: Final = "current"


def tell(folder: Path, index: str, current: float) -> None:
    """Say that an index has everything that was committed at a time (of ``time.time``)."""
    path = folder / _FILE
    if about(folder) != index:
        fresh = folder / f"{_FILE}.{os.getpid()}"
        fresh.write_text(index, encoding="ascii")
        os.utime(fresh, (current, current))
        fresh.replace(path)
    os.utime(path, (current, current))


def about(folder: Path) -> str:
    """Return which index was told of; '' for none."""
    try:
        return (folder / _FILE).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def forget(folder: Path) -> None:
    """Say that there is no index."""
    with contextlib.suppress(FileNotFoundError):
        (folder / _FILE).unlink()


def current(folder: Path) -> float | None:
    """Return until when the index has everything, as ``time.time``; None without an index."""
    try:
        return (folder / _FILE).stat().st_mtime
    except OSError:
        return None


def is_followed(environ: Mapping[str, str]) -> bool:
    """Say whether web servers lead an index of their own: in a fleet they do."""
    return bool(values_of(app.table(), environ).get("fleet"))


def fault(data: Path, environ: Mapping[str, str]) -> str:
    """Return why the index in a data folder must not be asked; '' when it may."""
    if not is_followed(environ):
        return ""
    row = app.table()["search_lag_seconds"]
    longest = float(str(values_of(app.table(), environ).get(row.key, row.default)))
    found = current(data / FOLDER)
    if found is None:
        return "the search index of this host is not built yet"
    behind = time.time() - found
    if behind > longest:
        return f"the search index of this host is {behind:.0f} s behind (at most {longest:g} s)"
    return ""
