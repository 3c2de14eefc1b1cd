"""``paperfleet mirror`` as a process of its own, its log read line by line."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from paperfleet.demo.waiting import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

STOP_SECONDS = 15.0
FOREIGN = ("PAPERFLEET_", "WEBDRIVE_")


class MirrorProcess:
    """Runs until the end of the block, which it has to leave with exit code 0."""

    def __init__(self, source: str, target: str, environ: Mapping[str, str]) -> None:
        # -P: what lies in the current folder is not imported.
        command = [sys.executable, "-P", "-m", "paperfleet", "mirror", source, target]
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            command,
            env=_environ(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="log", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Kill what still runs; ``stop`` is the way to end it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()

    def lines_until(self, words: str, seconds: float) -> Iterator[str]:
        """Yield the lines of the log up to the first that holds ``words``.

        Raises ``DemoError`` when it does not come in time, or the process ends before.
        """
        deadline = time.monotonic() + seconds
        while True:
            line = self._next(deadline, words)
            yield line
            if words in line:
                return

    def stop(self) -> tuple[int, list[str]]:
        """Send SIGTERM; return the exit code and the last lines."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        last = []
        while (line := self._lines.get()) is not None:
            last.append(line)
        return code, last

    def _next(self, deadline: float, words: str) -> str:
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise DemoError(f"the mirror did not log {words!r} in time") from None
        if line is None:
            raise DemoError("the mirror has ended; its last words are above")
        return line

    def _read(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as stream:
                for line in stream:
                    self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


def _environ(ours: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the user's own settings, and without a proxy on loopback."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return theirs | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | dict(ours)
