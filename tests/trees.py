"""Reading a folder that a server or a mirror may be changing at this moment.

`Path.rglob` raises when a folder goes away between its listing and the look into it, and so does
reading a file that was just renamed, or in whose place a folder came. None is a fault of what is
tested.
"""

from __future__ import annotations

import os
from pathlib import Path

GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""What reading says of a file that went away, alone or with a folder, or became a folder."""


def read_tree(root: Path) -> dict[str, bytes]:
    """Return every regular file below a folder; what goes away meanwhile is left out."""
    found: dict[str, bytes] = {}
    for path in paths_below(root):
        try:
            if path.is_file() and not path.is_symlink():
                found[path.relative_to(root).as_posix()] = path.read_bytes()
        except GONE:
            continue
    return found


def paths_below(root: Path) -> list[Path]:
    """Return every file and folder below a folder, sorted; what goes away meanwhile is left out."""
    return sorted(
        Path(folder, name)
        for folder, folders, files in os.walk(root, onerror=_unless_gone)
        for name in (*folders, *files)
    )


def folders_in(root: Path) -> set[str]:
    """Return the names of all folders below one."""
    walk = os.walk(root, onerror=_unless_gone)
    return {Path(path).relative_to(root).as_posix() for path, _, _ in walk} - {"."}


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, GONE):
        raise error
