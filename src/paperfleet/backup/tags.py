"""The tags that our snapshots have in restic: what ``list`` shows is read from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from paperfleet.backup.manifest import Manifest

OURS: Final = "paperfleet"
"""The tag of every snapshot that we made."""
COMPLETE: Final = "complete"
INCOMPLETE: Final = "incomplete"


def tags_of(manifest: Manifest) -> list[str]:
    """Return the tags of its snapshot, from which ``list`` is made."""
    return [
        OURS,
        INCOMPLETE if manifest.faults else COMPLETE,
        f"paperless={manifest.paperless}",
        f"as-of={manifest.as_of}",
        f"documents={manifest.documents}",
        f"files={len(manifest.files)}",
        f"bytes={manifest.size}",
    ]
