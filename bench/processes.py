"""Run a client as a process of its own: how long it took, and how much memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import resource
    from collections.abc import Iterator, Mapping, Sequence

LONGEST = 300.0
_STOP_SECONDS = 12.0
_SAMPLE_SECONDS = 0.05


class BenchError(Exception):
    """A measurement did not come about; the text says why."""


class Command(NamedTuple):
    """What to run; ``env`` comes on top of an environment without settings of the user."""

    arguments: Sequence[str]
    env: Mapping[str, str] = {}  # a default of a NamedTuple, never changed
    input: str = ""


class Ended(NamedTuple):
    """Seconds from start to end of the process and on processors; its peak of resident memory."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def run(command: Command, timeout: float = LONGEST) -> Ended:
    """Run to the end; raise ``BenchError`` when that is not 0 or takes too long."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        begun = time.perf_counter()
        process = _start(command, output, log)
        ended, usage, peak = _wait(process, timeout)
        output.seek(0)
        log.seek(0)
        text = output.read().decode(errors="replace")
        if process.returncode:
            raise BenchError(_failure(command, process.returncode, text + log.read().decode()))
    return Ended(ended - begun, usage.ru_utime + usage.ru_stime, peak, text)


@contextmanager
def running(command: Command) -> Iterator[None]:
    """Run for the length of the block, then end it by SIGTERM."""
    with tempfile.TemporaryFile() as log:
        process = _start(command, log, log)
        try:
            yield
            if process.poll() is not None:
                log.seek(0)
                raise BenchError(_failure(command, process.returncode, log.read().decode()))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_SECONDS)


def python(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> Command:
    """Return the command that runs a module in this Python."""
    return Command([sys.executable, "-m", module, *arguments], env or {})


def _start(
    command: Command,
    output: IO[bytes],
    log: IO[bytes],
) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    process = subprocess.Popen(
        command.arguments,
        env=kept | {"LC_ALL": "C.UTF-8"} | dict(command.env),
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=log,
    )
    assert process.stdin is not None  # noqa: S101  # because of PIPE
    with process.stdin as stdin:
        stdin.write(command.input.encode())
    return process


def _wait(
    process: subprocess.Popen[bytes], timeout: float
) -> tuple[float, resource.struct_rusage, int]:
    """Return when the process ended, by a thread that does nothing else, and what it used."""
    ends: list[tuple[float, resource.struct_rusage]] = []

    def wait() -> None:
        _, status, usage = os.wait4(process.pid, 0)
        ends.append((time.perf_counter(), usage))
        process.returncode = os.waitstatus_to_exitcode(status)

    waiting = threading.Thread(target=wait)
    waiting.start()
    peak, deadline = 0, time.monotonic() + timeout
    while waiting.is_alive():
        peak = max(peak, _peak_bytes(process.pid))
        waiting.join(_SAMPLE_SECONDS)
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    return *ends[0], peak


def _peak_bytes(pid: int) -> int:
    """Return VmHWM (proc(5)), the peak so far; 0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = (line.split()[1] for line in lines.splitlines() if line.startswith("VmHWM:"))
    return int(next(found, "0")) * 1024


def _failure(command: Command, code: int, text: str) -> str:
    return f"{' '.join(command.arguments[:4])} … ended with {code}:\n{text[-2000:]}"
