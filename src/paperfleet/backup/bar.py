"""What a person sees of a repository at work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from paperfleet.running.bar import Bar

if TYPE_CHECKING:
    from paperfleet.backup.repository import BackupProgress


class BackupBar(Bar):
    """A bar that is drawn from the first word on: what comes before has one of its own."""

    def __init__(self) -> None:
        super().__init__("back up")
        self._begun = False

    def __enter__(self) -> Self:
        """Draw nothing yet."""
        return self

    def __call__(self, progress: BackupProgress) -> None:
        """Take what the repository says."""
        if not self._begun:
            self._begun = True
            self._began = self._told = time.monotonic()
            super().__enter__()
        self.plan(progress.files_total, progress.size_total)
        self.advance(progress.size - self._size, progress.files - self._done)
