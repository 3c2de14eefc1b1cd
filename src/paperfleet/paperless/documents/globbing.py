"""What lies below a folder of a storage, and what matches a pattern."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from paperfleet.paperless.documents import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.paperless.documents.mounts import Place


def below_with_folders(place: Place) -> Iterator[tuple[str, bool]]:
    """Yield the relative path of each file below, and of each folder once."""
    skip = len(place.name) + 1 if place.name else 0
    folders: set[str] = set()
    for found in files.below(place):
        relative = found.name[skip:]
        parts = relative.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in folders:
                folders.add(folder)
                yield folder, True
        yield relative, False


def matches(names: list[str], patterns: list[str]) -> bool:
    """Say whether the segments of a relative path match those of a pattern."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(matches(names[skipped:], patterns[1:]) for skipped in range(len(names) + 1))
    return (
        bool(names)
        and fnmatch.fnmatchcase(names[0], patterns[0])
        and matches(names[1:], patterns[1:])
    )
