"""Find the old name of a file whose new name was noticed first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import StorageError
from paperfleet.storage import abilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.prepare import Batch, Sights
    from paperfleet.model import KnownFile
    from paperfleet.storage.protocol import DocumentStorage


def departed(
    source: DocumentStorage,
    journal: Journal,
    batch: Batch,
    sights: Sights,
    busy: Callable[[str], bool],
) -> dict[str, KnownFile]:
    """Return the rows of files that are in the batch under a new name and gone from their old one.

    Of a rename into a folder that was made a moment ago inotify tells the first half alone; the
    second is found by looking into the folder, perhaps sooner than the first has settled. Inode,
    size and content say that it is the same file.
    """
    had_row = {stat.name for stat, known in batch.changed if known is not None}
    new = {s.file_id: s for s in sights.source.values() if s.file_id and s.name not in had_row}
    rows = journal.known_with_content({stat.sha256 or "" for stat in new.values()})
    return {
        row.name: row
        for row in rows
        if row.file_id in new
        and new[row.file_id].sha256 == row.sha256
        and row.name not in batch.names
        and not busy(row.name)
        and _is_gone(source, row.name)
    }


def _is_gone(source: DocumentStorage, name: str) -> bool:
    try:
        return abilities.find(source, name) is None
    except StorageError:
        return False  # it cannot be known: then it is a new file
