"""SIGTERM and SIGINT: stop in order, in any case within ten seconds."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

from paperfleet.running.exitcodes import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PATIENCE_SECONDS = 9.0
STANDARD_ERROR = 2
INTERRUPTED = 128 + signal.SIGINT


class Stopper:
    """Turns signals into a call of ``stop``.

    Before there is anything to stop, a signal ends the program. A second SIGINT ends it at once,
    and so does the end of patience after the first signal: that is safe, because everything is in
    the journal before it is tried. ``code`` is the exit code when a signal ends it so: whoever has
    no end but being stopped sets it to 0.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self.code = UNFINISHED
        self._stop: Callable[[], object] | None = None
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether a signal has come."""
        return self._stopping

    def on_signal(self, stop: Callable[[], object]) -> None:
        """From now on call this; it must be safe to call in a signal handler."""
        self._stop = stop
        if self._stopping:
            stop()

    def handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # its signature
        """Take a signal (``signal.signal``)."""
        if self._stop is None:
            raise SystemExit(self.code)
        if not self._stopping:
            self._stopping = True
            self._watch()
            self._tell()
            self._stop()
        elif number == signal.SIGINT:
            os._exit(INTERRUPTED)

    def _watch(self) -> None:
        watchdog = threading.Timer(self._patience, os._exit, (self.code,))
        watchdog.daemon = True
        watchdog.start()

    def _tell(self) -> None:
        text = f"paperfleet: stopping, within {self._patience:g} s\n"
        with contextlib.suppress(OSError):  # nobody may be left to read it
            # Not print: the signal may have come in the middle of one.
            os.write(STANDARD_ERROR, text.encode())


@contextlib.contextmanager
def signals_to(stopper: Stopper) -> Iterator[None]:
    """Let ``stopper`` take SIGTERM and SIGINT within the block."""
    before = {
        number: signal.signal(number, stopper.handle) for number in (signal.SIGTERM, signal.SIGINT)
    }
    # Whoever became this process may have let it wait until now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
