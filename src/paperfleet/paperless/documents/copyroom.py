"""Room for local copies: how large they are together, and which of them go.

Their size is a running total in a small file beside them, which all processes of the host keep. All
copies are looked at only when it passes a limit, and once an hour, which also mends the total.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_USE = 3600.0
"""Seconds for which a copy that was asked for is kept in any case."""
FETCHING = "fetching-"
"""How the names of folders begin in which a copy is being made."""
_SPARE = 10
"""Of the limit, a tenth is free after a look at all copies: the next one comes so much later."""

_log = logging.getLogger("paperfleet.paperless")


class _Copy(NamedTuple):
    used: float
    size: int
    folder: Path


class _Total(NamedTuple):
    """The bytes of all copies; above how many, and how long after ``looked``, to look at them."""

    size: int = 0
    enough: int = -1
    looked: float = 0.0


class CopyRoom:
    """Keeps the copies in one folder below ``limit`` bytes, where that can be."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._note = folder.with_name(f"{folder.name}.total")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the other processes of the host from putting a copy in place meanwhile.

        The kernel ends the lock with the process (flock(2)).
        """
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def took(self, size: int) -> None:
        """Count a copy that is put in place; to be called ``alone``."""
        total = self._total()
        self._write(total._replace(size=total.size + size))

    def make(self) -> None:
        """Remove copies if there are too many, or it is time to look."""
        total = self._total()
        if total.size > total.enough or not 0 <= time.time() - total.looked < IN_USE:
            self.look()

    def look(self) -> None:
        """Look at all copies; remove those not asked for lately until the rest is small enough."""
        before = self._total().size
        copies = sorted(self._copies())
        size = sum(copy.size for copy in copies)
        goal = self._limit if size <= self._limit else self._limit - self._limit // _SPARE
        now = time.time()
        for copy in copies:
            fresh = now - copy.used < IN_USE
            unfinished = copy.folder.name.startswith(FETCHING)
            if fresh or (size <= goal and not unfinished):
                continue
            shutil.rmtree(copy.folder, ignore_errors=True)
            size -= copy.size
        if size > self._limit:
            _log.warning(
                "the local copies in %s are larger than PAPERFLEET_CACHE_MB allows: all were"
                " in use within the last hour",
                self._folder,
            )
        with self.alone():
            size += max(0, self._total().size - before)  # what came meanwhile
            enough = max(self._limit, size + self._limit // _SPARE if size > goal else 0)
            self._write(_Total(size, enough, now))

    def _copies(self) -> list[_Copy]:
        found = []
        for folder in self._folder.iterdir():
            with suppress(OSError):  # another process may have removed it
                size = sum(item.stat().st_size for item in folder.rglob("*"))
                found.append(_Copy(folder.stat().st_mtime, size, folder))
        return found

    def _total(self) -> _Total:
        """Return the running total; one that nobody knows makes the next one look."""
        try:
            size, enough, looked = json.loads(self._note.read_bytes())
            return _Total(int(size), int(enough), float(looked))
        except (OSError, ValueError, TypeError):  # none yet, or a process died while it wrote
            return _Total()

    def _write(self, total: _Total) -> None:
        with suppress(OSError):  # of a full disk; then the next one looks at all
            self._note.write_text(json.dumps(total))
