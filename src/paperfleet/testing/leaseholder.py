"""Another process that holds leases, as a test sees it."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_PATIENCE = 60.0


class Holder:
    """Runs ``lease_child``; ``prefix`` is put before its command, such as ``ip netns exec host``.

    A context manager; at its end the process is killed.
    """

    def __init__(
        self, opener: str, address: str, name: str, ttl: float, *, prefix: tuple[str, ...] = ()
    ) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # a test's own command
            [*prefix, sys.executable, "-m", "paperfleet.testing.lease_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        # Through its input: the list of processes shows arguments to everybody.
        self._send(json.dumps({"opener": opener, "address": address, "name": name, "ttl": ttl}))

    def _send(self, line: str) -> None:
        if self._process.stdin is None:
            raise RuntimeError("a pipe was asked for")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def begin(self, *command: object) -> None:
        """Send a command without waiting for its answer."""
        self._send(" ".join(map(str, command)))

    def answer(self, timeout: float = _PATIENCE) -> str:
        """Return the next answer; raise ``TimeoutError``, or ``EOFError`` when it has died."""
        stream = self._process.stdout
        if stream is None:
            raise RuntimeError("a pipe was asked for")
        # One line at a time is asked for and answered, so none waits in the stream's buffer.
        if not select.select([stream], [], [], timeout)[0]:
            raise TimeoutError(f"no answer for {timeout:g} s")
        line = stream.readline()
        if not line:
            raise EOFError(f"it ended with {self._process.wait(_PATIENCE)}")
        return line.strip()

    def tell(self, *command: object) -> str:
        """Send a command and return its answer."""
        self.begin(*command)
        return self.answer()

    def acquire(self, timeout: float = 30.0) -> int:
        """Let it acquire, and return the generation."""
        answer = self.tell("acquire", timeout)
        word, _, generation = answer.partition(" ")
        if word != "granted":
            raise AssertionError(answer)
        return int(generation)

    def kill(self) -> float:
        """Kill it; return the time (``time.monotonic``)."""
        self._process.kill()
        self._process.wait(_PATIENCE)
        return time.monotonic()

    def stop(self) -> None:
        """Stop it with SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on with SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
