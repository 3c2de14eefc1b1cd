"""Programs of an installation: each in a session of its own, with its output in a file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

STOP_TIMEOUT = 20.0
_SHOWN = 6000


class ProgramFailedError(RuntimeError):
    """A program ended or did not become ready; the text has the end of its output."""


class Child:
    """A running program with all the processes that it starts."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self.name, self.log = name, log
        with log.open("ab") as sink:
            self._before = sink.tell()
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its first process, after which its session and its group are called."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the program runs."""
        return self._process.poll() is None

    def output(self) -> str:
        """Return what it has printed since it started."""
        with self.log.open("rb") as stream:
            stream.seek(self._before)
            return stream.read().decode(errors="replace")

    def tail(self) -> str:
        """Return the end of it, under its name."""
        return f"--- {self.name}\n{self.output()[-_SHOWN:]}"

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return once ``ready``; raise ``ProgramFailedError`` when it ends or takes too long."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.alive:
                raise ProgramFailedError(f"{self.name} ended\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ProgramFailedError(f"{self.name} is not ready\n{self.tail()}")
            time.sleep(0.1)

    def wait_for_text(self, texts: Sequence[str], timeout: float) -> None:
        """Return once it has printed one of the texts."""
        self.wait_until(lambda: any(text in self.output() for text in texts), timeout)

    def wait(self, timeout: float) -> int:
        """Return its exit code; raise ``subprocess.TimeoutExpired``."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End it with all its processes, without a chance to do anything (SIGKILL)."""
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_TIMEOUT)

    def stop(self) -> None:
        """Ask it to end, and kill what is left of it."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT)
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
