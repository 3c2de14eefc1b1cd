"""Runs Python programs in forks of a process that has imported the big libraries already.

A child of the small project needs most of its second for the imports of Django and Celery. A fork
has them, and nothing else: neither our package nor the project is imported before it begins, and
its variables, paths, working folder and exit are those of a Python of its own. What kills, signals
or talks to its program while it runs starts a real Python (``Site.start``).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PRELOADED = (
    "asyncio",
    "celery.app.base",
    "celery.signals",
    "django.core.management",
    "django.core.serializers.json",
    "django.db.backends.sqlite3.base",
    "django.db.models.functions",
    "django.forms",
    "django.template.backends.django",
    "django.test",
    "django.urls",
    "kombu.transport.redis",
    "pikepdf",
    "psycopg",
    "pytest",
)
"""Libraries that ask for no settings when they are imported."""

_LARGEST = 1 << 17


@dataclass(frozen=True)
class Program:
    """What a fork is to be; ``arguments`` are those of ``python``."""

    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]

    def run(self) -> None:
        """Be this program, as far as the end of its main module."""
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        time.tzset()
        sys.dont_write_bytecode = bool(self.environment.get("PYTHONDONTWRITEBYTECODE"))
        if "COVERAGE_PROCESS_CONFIG" in self.environment:
            import coverage

            coverage.process_startup()
        first, *others = self.arguments
        path = [one for one in self.environment.get("PYTHONPATH", "").split(os.pathsep) if one]
        if first == "-c":
            sys.path[:0] = ["", *path]
            sys.argv = ["-c", *others[1:]]
            exec(compile(others[0], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  # that is -c
        elif first == "-m":
            sys.path[:0] = [self.folder, *path]
            sys.argv = others
            runpy.run_module(others[0], run_name="__main__", alter_sys=True)
        else:
            sys.path[:0] = [str(Path(first).resolve().parent), *path]
            sys.argv = [first, *others]
            runpy.run_path(first, run_name="__main__")


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], patience: float
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in a fork; ``subprocess.run`` with its output as text.

    Raises ``subprocess.TimeoutExpired`` after ``patience`` seconds.
    """
    asked = json.dumps([list(arguments), str(folder), dict(environment)]).encode()
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with theirs:
            descriptors = [out.fileno(), err.fileno(), theirs.fileno()]
            socket.send_fds(_server(), [asked], descriptors)
        ours.settimeout(patience)
        with ours.makefile() as told:
            number = int(told.readline())
            try:
                code = int(told.readline())
            except TimeoutError:
                os.kill(number, signal.SIGKILL)
                printed = _text(out), _text(err)
                raise subprocess.TimeoutExpired(list(arguments), patience, *printed) from None
        return subprocess.CompletedProcess(list(arguments), code, _text(out), _text(err))


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


@cache
def _server() -> socket.socket:
    """Start the process that forks; it ends when this one does. Return the way to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("COVERAGE_")}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**kept, "PYTHONPATH": ""},
            stdin=subprocess.DEVNULL,
        )
    atexit.register(_end, ours, process)
    return ours


def _end(way: socket.socket, process: subprocess.Popen[bytes]) -> None:
    way.close()
    process.wait()


def _serve(number: int) -> Program | None:
    """Fork for each that asks; return in a fork what it is to be, and None at the end."""
    with socket.socket(fileno=number) as asked:
        while True:
            message, descriptors, _, _ = socket.recv_fds(asked, _LARGEST, 3)
            if not message:
                return None
            if os.fork() == 0:
                break
            for one in descriptors:
                os.close(one)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out, err, answers = descriptors
    with socket.socket(fileno=answers) as answer:
        worker = os.fork()
        if worker:
            # Whoever waits for a process has to be its parent.
            answer.sendall(b"%d\n" % worker)
            _, status = os.waitpid(worker, 0)
            answer.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)
    for source, target in ((out, 1), (err, 2)):
        os.dup2(source, target)
        os.close(source)
    return Program(*json.loads(message))


def _leave_quickly(codes: list[int]) -> None:
    """End without taking everything apart: with the libraries that takes 0.2 s."""
    if codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(codes[0])


def _main() -> None:
    sys.path.pop(0)
    for module in PRELOADED:
        importlib.import_module(module)
    codes: list[int] = []
    atexit.register(_leave_quickly, codes)  # the first one is called last
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    program = _serve(int(sys.argv[1]))
    if program is None:
        return
    try:
        program.run()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        codes.append(ended.code if isinstance(ended.code, int) else int(bool(ended.code)))
    except BaseException:  # noqa: BLE001  # as Python does at the end of a program
        traceback.print_exc()
        codes.append(1)
    else:
        codes.append(0)


if __name__ == "__main__":
    _main()
