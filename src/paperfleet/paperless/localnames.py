"""The files in a folder of the local disk, whatever is mounted there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

IGNORED = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".keep", ".gitkeep"})
"""Names of files that are no documents wherever they lie."""


def local_names(root: str) -> Iterator[str]:
    """Yield the names of all files below a folder of the local disk, whatever is mounted there."""
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        for name in sorted(names):
            if name not in IGNORED:
                yield f"{folder}/{name}"[len(root) + 1 :]
