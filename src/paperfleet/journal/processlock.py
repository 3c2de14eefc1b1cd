"""One mirror at a time on one journal."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

from paperfleet.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path


class ProcessLock:
    """An exclusive ``flock(2)`` on a file that names its holder.

    The kernel releases it when the process ends, however it ends. The file stays: removing it
    would let two processes hold locks on two files of one name.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock; raise ``JournalError`` naming the holder, ``OSError`` from the disk."""
        self._descriptor: int | None = None
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock(descriptor, path)
            _write_holder(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next one in; releasing twice is harmless."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 300, 0).decode("utf-8", "replace").strip()
        raise JournalError(
            f"Another mirror uses this journal: {holder or 'a process just starting'} holds {path}",
            hint="Stop it first, or give this mirror a journal of its own",
        ) from None


def _write_holder(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
