"""What a person sees of a long command: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from paperfleet.printable import readable
from paperfleet.running.words import duration_text, size_text

if TYPE_CHECKING:
    from types import TracebackType

LINE_SECONDS = 10.0


class Bar:
    """Counts files and bytes, with the time that is left; everything goes to standard error."""

    def __init__(
        self, verb: str, files: int = 0, size: int = 0, console: Console | None = None
    ) -> None:
        self._terminal = console is not None or sys.stderr.isatty()
        self._progress = Progress(
            TextColumn(verb),
            BarColumn(),
            TextColumn("{task.fields[done]:,}/{task.fields[files]:,} files"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]}"),
            console=console or Console(stderr=True),
            transient=True,
            disable=not self._terminal,
        )
        self._verb = verb
        self._task = self._progress.add_task("", total=None, done=0, files=0, failed="")
        self._done = self._failed = self._size = self._files = self._total = 0
        self._began = self._told = time.monotonic()
        self.plan(files, size)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._progress.stop()

    def plan(self, files: int, size: int) -> None:
        """Say how much there is to do, in files and bytes."""
        self._files, self._total = files, size
        self._progress.update(self._task, total=size or None, files=files)

    def advance(self, size: int, files: int = 1, *, failed: bool = False) -> None:
        """Count files that are done, or that failed."""
        self._done += files
        self._size += size
        self._failed += failed
        text = f"{self._failed:,} failed" if self._failed else ""
        self._progress.update(self._task, completed=self._size, done=self._done, failed=text)
        now = time.monotonic()
        if not self._terminal and now - self._told >= LINE_SECONDS:
            self._told = now
            self._line(now)

    def redraw(self) -> None:
        """Draw the bar as of now; it redraws itself about ten times a second anyway."""
        self._progress.refresh()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(readable(text), markup=False, highlight=False, soft_wrap=True)

    def _line(self, now: float) -> None:
        spent = max(now - self._began, 0.001)
        rate = self._size / spent
        # Where nobody knows how large the files are, their number has to do.
        done, all_ = (self._size, self._total) if self._total else (self._done, self._files)
        left = duration_text(max(all_ - done, 0) * spent / done) if done else "?"
        count = f"{self._done:,}/{self._files:,} files"
        self.say(f"{self._verb}: {count}, {size_text(rate)}/s, {left} left")
