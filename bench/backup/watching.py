"""What is watched beside a command: for how long restic works, and the media lock is held."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.paperless.backup_kit import RESTIC

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_SECONDS = 0.005
_LOCKS = Path("/proc/locks")


class CalledRestic:
    """A program that is restic, and that writes down how long each of its calls took."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.program = folder / "restic"
        self._calls = folder / "calls"
        self.program.write_text(
            f'#!/bin/bash\nbegun=$EPOCHREALTIME\n{RESTIC} "$@"\ncode=$?\n'
            f'echo "$1 $begun $EPOCHREALTIME" >> {self._calls}\nexit $code\n'
        )
        self.program.chmod(0o700)

    def taken(self) -> dict[str, float]:
        """Return the seconds of each verb since it was last asked."""
        found: dict[str, float] = {}
        for line in self._calls.read_text().splitlines():
            verb, begun, ended = line.split()
            found[verb] = found.get(verb, 0.0) + float(ended) - float(begun)
        self._calls.unlink()
        return found


class HeldLock:
    """For how many seconds in all a lock file was locked."""

    seconds = 0.0


@contextmanager
def watched_lock(path: Path) -> Iterator[HeldLock]:
    """Look at a lock file for the length of the block, without ever taking it (proc(5), locks)."""
    found, ended = HeldLock(), threading.Event()

    def look() -> None:
        begun = None
        while not ended.wait(_LOOK_SECONDS):
            now = time.perf_counter()
            if _is_held(path):
                begun = now if begun is None else begun
            elif begun is not None:
                found.seconds += now - begun
                begun = None

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _is_held(path: Path) -> bool:
    try:
        number = path.stat().st_ino
    except FileNotFoundError:
        return False
    lines = (line.split() for line in _LOCKS.read_text().splitlines())
    return any(words[1] == "FLOCK" and words[5].endswith(f":{number}") for words in lines)
