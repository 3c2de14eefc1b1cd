"""Where events go: text lines or JSON lines on standard output, and a bar on a terminal."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from paperfleet.mirror.events import Notice
from paperfleet.printable import readable_json
from paperfleet.running.lines import LEVELS, level_of, line, stands_out
from paperfleet.running.printing import say

if TYPE_CHECKING:
    from paperfleet.mirror.events import Event, Reporter
    from paperfleet.settings.mirror import MirrorSettings

Format = Callable[["Event", str], str]


def now_text() -> str:
    """Return the local time (TZ) with its offset, to the second (RFC 3339)."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def as_text(event: Event, time: str) -> str:
    """Return the log line of an event, coloured for a terminal."""
    text = f"{time} {line(event)}"
    if stands_out(event):
        return click.style(text, bold=True)
    return click.style(text, fg="red") if level_of(event) in ("warning", "error") else text


def as_json(event: Event, time: str) -> str:
    """Return one JSON object; ``time``, ``level`` and ``event`` come first, then its fields.

    It is UTF-8, fit to be seen (``paperfleet.printable``); a byte of a name that is not UTF-8 comes
    as JSON's escape of Python's lone surrogate.
    """
    head = {"time": time, "level": level_of(event), "event": type(event).__name__.lower()}
    return readable_json(head | dataclasses.asdict(event))


class LogReporter:
    """Writes the events of a level and above to standard output, one line each."""

    def __init__(self, form: Format, level: str) -> None:
        self._form = form
        self._levels = LEVELS[LEVELS.index(level) :]
        self._lost = False

    def __call__(self, event: Event) -> None:
        """Write one line; documents matter more than the log, so that a full disk is survived."""
        if level_of(event) not in self._levels:
            return
        try:
            click.echo(self._form(event, now_text()))
            self._lost = False
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._lost:
            self._lost = True
            try:
                say(f"paperfleet: the log cannot be written: {error.strerror}", err=True)
            except OSError:  # there is nobody left to tell
                return


class Warnings(logging.Handler):
    """Writes what a storage warns of as a notice, in the form of the other lines.

    It comes from any thread, and so past the progress bar.
    """

    def __init__(self, log: LogReporter) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self._log(Notice(record.getMessage(), "warning"))


def reporter_for(settings: MirrorSettings) -> Reporter:
    """Return what these settings and the terminal ask for; warnings of storages go there too."""
    form = as_json if settings.log_format == "json" else as_text
    log = LogReporter(form, settings.log_level)
    logging.getLogger("paperfleet").handlers = [Warnings(log)]
    if form is as_json or not sys.stdout.isatty():
        return log
    from paperfleet.running.progress import BarReporter  # noqa: PLC0415  # rich is slow to import

    return BarReporter(log)
