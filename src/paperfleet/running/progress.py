"""A bar for the first sync, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from paperfleet.mirror.events import Done, Planned, Synced

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from paperfleet.mirror.events import Event, Reporter

# The plan counts what may turn out to be there already as files to send.
BROUGHT = ("created", "updated", "restored", "adopted")


class BarReporter:
    """Passes every event on, and shows a bar from the first plan to the end of the first sync."""

    def __init__(self, inner: Reporter, console: Console | None = None) -> None:
        self._inner = inner
        self._progress = Progress(
            TextColumn("first sync"),
            BarColumn(),
            TextColumn("{task.fields[done]:,}/{task.fields[files]:,} files"),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Planned) and event.first:
            self._begin(event)
        elif isinstance(event, Done) and event.action in BROUGHT:
            self._advance(event)
        elif isinstance(event, Synced):
            self.close()
        self._inner(event)

    def redraw(self) -> None:
        """Draw the bar as of now; it redraws itself about ten times a second anyway."""
        self._progress.refresh()

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()
        self._task = None

    def _begin(self, event: Planned) -> None:
        if self._task is None and event.sends:
            self._task = self._progress.add_task("", total=event.bytes, files=event.sends, done=0)
            self._progress.start()

    def _advance(self, event: Done) -> None:
        if self._task is not None:
            done = self._progress.tasks[self._task].fields["done"] + event.count
            self._progress.update(self._task, advance=event.size, done=done)
