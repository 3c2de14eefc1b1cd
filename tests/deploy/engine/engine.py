"""A Docker engine for the tests: a daemon of its own, in a network that has no way out.

Its bridges, its packet filter and its forwarding are those of a network namespace; nothing of the
machine's network is touched, and no registry is asked. All it keeps is in one folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.deploy.engine.debian import UnavailableError
from tests.servers.machines import own_network

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_TIMEOUT, STOP_TIMEOUT = 60.0, 60.0
COMMAND_TIMEOUT, BUILD_TIMEOUT = 120.0, 600.0
_BRIDGE = "198.19.0.1/24"
"""Of 198.18.0.0/15, which is for tests of networks (RFC 2544)."""


class EngineError(AssertionError):
    """The engine, or what ran in it, did not do what it was asked for."""


class Engine:
    """A running daemon; commands to it raise ``EngineError`` when they fail."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = {
            **os.environ,
            **environ,
            "DOCKER_HOST": f"unix://{folder}/engine.sock",
            "DOCKER_CONFIG": str(folder / "client"),
            "DOCKER_BUILDKIT": "0",
        }

    def docker(
        self,
        *words: str,
        timeout: float = COMMAND_TIMEOUT,
        cwd: Path | None = None,
        stdin: str = "",
    ) -> str:
        """Run a command of the client to its end; return what it prints."""
        done = self.run("docker", *words, timeout=timeout, cwd=cwd, stdin=stdin)
        if done.returncode:
            told = f"{done.stdout}{done.stderr}"
            raise EngineError(f"docker {' '.join(words[:4])} ended with {done.returncode}\n{told}")
        return done.stdout

    def run(
        self, *command: str, timeout: float, cwd: Path | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program with the engine's variables; it ends with all that it started in time."""
        program = shutil.which(command[0], path=self.environ["PATH"]) or command[0]
        with subprocess.Popen(
            [program, *command[1:]],
            env=self.environ,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                told = process.communicate(stdin, timeout)
            except BaseException:
                # What a shell started has its pipes, and would be waited for without an end.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(command, process.returncode, *told)

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what the engine knows of a container or an image."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", name))
        return found[0]

    def build(self, folder: Path, *words: str, **arguments: str) -> None:
        """Run ``docker build`` in a folder, with the classic builder and without a network."""
        given = [word for pair in arguments.items() for word in ("--build-arg", "=".join(pair))]
        offline = ("--network", "none", *given)
        self.docker("build", *offline, *words, timeout=BUILD_TIMEOUT, cwd=folder)


@contextlib.contextmanager
def engine(folder: Path, environ: Mapping[str, str]) -> Iterator[Engine]:
    """Run an engine until the block ends; this thread is in its network meanwhile.

    Raises ``UnavailableError`` with what the daemon said when it does not start.
    """
    made = Engine(folder, environ)
    with own_network(), _daemon(made):
        yield made


@contextlib.contextmanager
def _daemon(made: Engine) -> Iterator[None]:
    folder, log = made.folder, made.folder / "dockerd.log"
    places = ("--data-root", "data", "--exec-root", "exec", "--pidfile", "pid")
    words = [str(folder / word) if not word.startswith("--") else word for word in places]
    network = ("--bip", _BRIDGE, "--userland-proxy=false", "--ip6tables=false")
    # It ends with the test, however that ends.
    command = [
        "setpriv",
        "--pdeathsig",
        "TERM",
        "dockerd",
        *words,
        "--host",
        f"unix://{folder}/engine.sock",
        *network,
    ]
    with log.open("wb") as sink:
        daemon = subprocess.Popen(
            [*command, "--storage-driver", "overlay2"],
            env=made.environ,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(made, daemon, log)
        yield
    finally:
        daemon.terminate()
        try:
            daemon.wait(STOP_TIMEOUT)
        finally:
            daemon.kill()
            daemon.wait(STOP_TIMEOUT)
    left = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    mounts = [place for place in left if Path(place).is_relative_to(folder)]
    if mounts:
        raise EngineError(f"the engine left mounts behind: {mounts}")


def _wait_until_it_answers(made: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while made.run("docker", "version", timeout=START_TIMEOUT).returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace")[-1500:]
            raise UnavailableError(f"no Docker engine starts here:\n{said}")
        time.sleep(0.2)
