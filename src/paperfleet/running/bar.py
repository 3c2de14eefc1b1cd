"""What a person sees of a long command: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from paperfleet.printable import readable, readable_json
from paperfleet.running.words import size_text
from paperfleet.transfer.migrate import FileEvent, MigrationPlanned, MigrationStep

if TYPE_CHECKING:
    from types import TracebackType

if TYPE_CHECKING:
    from typing import Protocol

    class Output(Protocol):
        """Django's wrapper of a stream: each write is a line."""

        def write(self, msg: str) -> object:
            """Write a line."""
            ...


def tell(output: Output, *lines: str) -> None:
    """Write lines, each as one line, whatever stands in it (``paperfleet.printable``)."""
    for line in lines:
        output.write(readable(line))


def tell_json(output: Output, value: object) -> None:
    """Write JSON for a program, with line breaks for a person."""
    output.write(readable_json(value, indent=2))


LINE_SECONDS = 10.0
_AFTERWARDS = (MigrationStep.DELETED, MigrationStep.KEPT)


class Bar:
    """Counts files and bytes; everything goes to standard error."""

    def __init__(self, verb: str, files: int, size: int) -> None:
        self._terminal = sys.stderr.isatty()
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn(verb),
            BarColumn(),
            TextColumn("{task.fields[done]:,}/{task.fields[files]:,} files"),
            TextColumn("{task.fields[amount]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._terminal,
        )
        self._verb, self._files, self._total = verb, files, size
        self._done = self._size = 0
        self._told = time.monotonic()
        self._task = self._bar.add_task("", total=size or files, files=files, done=0, amount="")

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
        """Take an event of a migration."""
        if isinstance(event, MigrationPlanned):
            return
        if event.step not in _AFTERWARDS:
            self.advance(event.size)
        if event.reason:
            self.say(f"{event.step.value}: {readable(event.name)}: {event.reason}")

    def advance(self, size: int) -> None:
        """Count one file that is done."""
        self._done += 1
        self._size += size
        amount = f"{size_text(self._size)} of {size_text(self._total)}"
        completed = self._size if self._total else self._done
        self._bar.update(self._task, completed=completed, done=self._done, amount=amount)
        if not self._terminal and time.monotonic() - self._told >= LINE_SECONDS:
            self._told = time.monotonic()
            self.say(f"{self._verb}: {self._done:,}/{self._files:,} files, {amount}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(readable(text), markup=False, highlight=False, soft_wrap=True)
