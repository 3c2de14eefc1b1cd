"""What a person sees of a migration: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from paperfleet.running.printing import say
from paperfleet.running.words import duration_text, files_text, size_text
from paperfleet.storage.names import readable
from paperfleet.transfer.migrate import FileEvent, MigrationPlanned, MigrationStep

if TYPE_CHECKING:
    from types import TracebackType

LINE_SECONDS = 10.0
_AFTERWARDS = {MigrationStep.LEFT_OUT, MigrationStep.DELETED, MigrationStep.KEPT}


class MigrationBar:
    """Takes the events of a migration; failures are printed as they come."""

    def __init__(self, terminal: bool) -> None:  # says where the output goes
        self._bar = Bar(
            TextColumn("migrate"),
            BarColumn(),
            TextColumn("{task.fields[done]:,}/{task.fields[files]:,} files"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]}"),
            console=Console(stderr=True),
            transient=True,
            disable=not terminal,
        )
        self._terminal = terminal
        self._task = self._bar.add_task("", total=None, done=0, files=0, failed="")
        self._done = self._failed = self._size = self._files = self._total = 0
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bar.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def __call__(self, event: FileEvent | MigrationPlanned) -> None:
        """Take one event."""
        if isinstance(event, MigrationPlanned):
            self._plan(event)
        elif event.step in _AFTERWARDS:
            self._say_reason(event)
        else:
            self._advance(event)

    def _plan(self, plan: MigrationPlanned) -> None:
        self._files, self._total = plan.files, plan.size
        self._bar.update(self._task, total=plan.size, files=plan.files)
        say(
            f"{files_text(plan.files)}, {size_text(plan.size)} at the source; "
            f"{plan.there:,} of these names ({size_text(plan.there_size)}) at the target"
        )
        if not plan.files:
            say("The source has no files: is its address the right one?", err=True)

    def _advance(self, event: FileEvent) -> None:
        self._done += 1
        self._size += event.size
        self._failed += event.step is MigrationStep.FAILED
        failed = f"{self._failed:,} failed" if self._failed else ""
        self._bar.update(self._task, completed=self._size, done=self._done, failed=failed)
        self._say_reason(event)
        now = time.monotonic()
        if not self._terminal and now - self._told >= LINE_SECONDS:
            self._told = now
            self._line(now)

    def _line(self, now: float) -> None:
        rate = self._size / max(now - self._began, 0.001)
        left = duration_text((self._total - self._size) / rate) if rate else "?"
        say(f"{self._done:,}/{self._files:,} files, {size_text(rate)}/s, {left} left", err=True)

    def _say_reason(self, event: FileEvent) -> None:
        if event.reason:
            text = f"{event.step.value}: {readable(event.name)}: {event.reason}"
            self._bar.console.print(readable(text), markup=False, highlight=False, soft_wrap=True)
