"""Watching what is mounted below a folder: inotify(7) is not told of mounts."""

from __future__ import annotations

import os
import select
from pathlib import Path

from paperfleet.filesystems import mounts_below

_MOUNTS = Path("/proc/self/mountinfo")


class MountWatch:
    """Tells when something was mounted or unmounted below ``root``.

    The kernel says so of the whole table by ``POLLPRI`` (proc_pid_mounts(5)), once to each open
    file: ``fileno`` is one to sleep on, ``changed`` asks another. Without ``/proc`` it never tells.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: list[int] = []
        try:
            for _ in range(2):
                self._files.append(os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC))
            self._table = mounts_below(root)
        except BaseException:
            self.close()
            raise

    @classmethod
    def of(cls, root: Path) -> MountWatch | None:
        """Return a watch, None where the kernel does not tell."""
        try:
            return cls(root)
        except FileNotFoundError:
            return None

    def fileno(self) -> int:
        """Return the descriptor to sleep on, with ``POLLPRI``."""
        return self._files[0]

    def changed(self) -> bool:
        """Say whether what is mounted below the root is not what it was at the last call."""
        poll = select.poll()
        poll.register(self._files[1], select.POLLPRI)
        if not poll.poll(0):
            return False
        before, self._table = self._table, mounts_below(self._root)
        return before != self._table

    def close(self) -> None:
        """Close both files; closing twice is harmless."""
        while self._files:
            os.close(self._files.pop())
