"""What is mounted in this process; filled by the app, and by tests."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from paperfleet.paperless.documents.localcopies import LocalCopies
from paperfleet.paperless.documents.mounts import MountTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.paperless.documents.mounts import Place

mounts = MountTable()
_TRIAL_BYTES = 10_000_000


class _Scratch:
    """Where local copies and drafts lie."""

    def __init__(self) -> None:
        self.use(Path(tempfile.gettempdir()) / "paperfleet", 2_000_000_000)

    def use(self, folder: Path, limit: int) -> None:
        """Keep local copies of at most ``limit`` bytes, and drafts, in this folder."""
        self.copies = LocalCopies(folder / "copies", limit)
        self.drafts = folder / "drafts"

    @contextlib.contextmanager
    def elsewhere(self, folder: Path) -> Iterator[None]:
        """Within this block keep them in another folder, which the caller removes."""
        before = self.copies, self.drafts
        self.use(folder, _TRIAL_BYTES)
        try:
            yield
        finally:
            self.copies, self.drafts = before


scratch = _Scratch()


@contextlib.contextmanager
def unmounted() -> Iterator[None]:
    """Within this block every path of this process is a local one, also for the net below.

    For commands that work on the local folders themselves, in a process that serves nobody.
    """
    taken = list(mounts)
    for mount in taken:
        mounts.remove(mount.root)
    try:
        yield
    finally:
        for mount in taken:
            mounts.add(mount)


def place_of(path: object) -> Place | None:
    """Return where a path leads, None for a local one and for what is no path."""
    if isinstance(path, str | Path):
        return mounts.find(str(path))
    return None
