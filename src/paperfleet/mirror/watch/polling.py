"""Watching where nobody tells of changes: everything is looked at again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from paperfleet.filesystems import filesystem_type
from paperfleet.mirror.watch.changes import EVERYTHING, Hint
from paperfleet.mirror.watch.wakeup import Wakeup

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class PollingWatcher:
    """Hints at everything every ``seconds`` seconds.

    When looking at everything takes longer than that, the pause is as long as the look was, so
    that a large tree on a slow server is left alone for at least half of the time.
    """

    def __init__(self, root: Path, seconds: float) -> None:
        self._root = root
        self._seconds = seconds
        self._wakeup = Wakeup()
        self._given: float | None = None
        self._due = 0.0

    @property
    def description(self) -> str:
        """How changes are noticed, for people."""
        return f"polling every {self._seconds:g} s ({filesystem_type(self._root)})"

    @property
    def sees_writers(self) -> bool:
        """Whether a file that somebody still writes is known to be such: it is not."""
        return False

    def __enter__(self) -> Self:
        self._wakeup.__enter__()
        self._due = time.monotonic() + self._seconds
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._wakeup.__exit__(exc_type, exc_val, exc_tb)

    def wait(self, timeout: float) -> list[Hint]:
        """Return a hint at everything when its time has come, else [] after ``timeout`` seconds."""
        now = time.monotonic()
        if self._given is not None:
            self._due = max(self._given + self._seconds, 2 * now - self._given)
            self._given = None
        if self._wakeup.sleep(min(timeout, self._due - now)):
            return []
        if time.monotonic() < self._due:
            return []
        self._given = time.monotonic()
        return [Hint(EVERYTHING)]

    def wake(self) -> None:
        """Make ``wait`` return at once; from any thread or signal handler."""
        self._wakeup.wake()
