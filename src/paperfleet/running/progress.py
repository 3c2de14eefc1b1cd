"""A bar for the first sync, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from paperfleet.mirror.events import Done, Planned, Synced
from paperfleet.running.bar import Bar

if TYPE_CHECKING:
    from paperfleet.mirror.events import Event, Reporter

# The plan counts what may turn out to be there already as files to send.
BROUGHT = ("created", "updated", "restored", "adopted")


class BarReporter:
    """Passes every event on, and shows a bar from the first plan to the end of the first sync."""

    def __init__(self, inner: Reporter, console: Console | None = None) -> None:
        self._inner = inner
        self._console = console or Console()
        self._bar: Bar | None = None

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Planned) and event.first:
            self._begin(event)
        elif isinstance(event, Done) and event.action in BROUGHT and self._bar:
            self._bar.advance(event.size, event.count)
        elif isinstance(event, Synced):
            self.close()
        self._inner(event)

    def redraw(self) -> None:
        """Draw the bar as of now."""
        if self._bar:
            self._bar.redraw()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def _begin(self, event: Planned) -> None:
        if self._bar is None and event.sends:
            self._bar = Bar("first sync", event.sends, event.bytes, self._console).__enter__()
