"""Run what a manifest says of one container, and ask its probes: more than a schema proves."""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.deploy.engine.engine import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.deploy.engine.engine import Engine

PROBE_TIMEOUT, START_TIMEOUT, STOP_TIMEOUT = 60.0, 600.0, 120.0


@dataclass(frozen=True, kw_only=True)
class Container:
    """What a manifest says of one container, in an engine's words.

    ``command`` takes the place of the image's entrypoint, ``args`` follow it; an empty one leaves
    the image's. ``folders`` are mounted by their place in the container, None as memory (an
    emptyDir), a folder of this machine as it is; those in ``read_only_folders`` cannot be written.
    ``user`` is "1000:1000". ``network`` is one of the engine's, ``none`` without any.
    """

    image: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    read_only_root: bool = True
    folders: Mapping[str, Path | None] = field(default_factory=dict)
    read_only_folders: Sequence[str] = ()
    network: str = "none"


class Pod:
    """A container that runs, or has ended."""

    def __init__(self, engine: Engine, identity: str) -> None:
        self._engine, self.identity = engine, identity

    @property
    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        state = self._engine.inspect(self.identity)["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def logs(self) -> str:
        """Return the end of what it printed."""
        done = self._engine.run("docker", "logs", "--tail", "60", self.identity, timeout=60)
        return done.stdout + done.stderr

    def probe(self, command: Sequence[str]) -> str:
        """Return why an exec probe fails; '' when it passes."""
        words = ("docker", "exec", self.identity, *command)
        try:
            done = self._engine.run(*words, timeout=PROBE_TIMEOUT)
        except subprocess.TimeoutExpired:
            return f"it takes longer than {PROBE_TIMEOUT:g} s"
        return "" if done.returncode == 0 else f"{done.returncode}: {done.stdout}{done.stderr}"

    def wait_until_passed(self, command: Sequence[str], timeout: float = START_TIMEOUT) -> None:
        """Return once a probe passes; raise ``EngineError`` when it ends or takes too long."""
        deadline = time.monotonic() + timeout
        while reason := self.probe(command):
            if (code := self.ended) is not None:
                raise EngineError(f"it ended with {code}\n{self.logs()}")
            if time.monotonic() > deadline:
                raise EngineError(f"{' '.join(command)} fails with {reason}\n{self.logs()}")
            time.sleep(1)

    def wait_until_ended(self, timeout: float = START_TIMEOUT) -> int:
        """Return its exit code once it has ended; raise ``EngineError`` after a time."""
        deadline = time.monotonic() + timeout
        while (code := self.ended) is None:
            if time.monotonic() > deadline:
                raise EngineError(f"it goes on for longer than {timeout:g} s\n{self.logs()}")
            time.sleep(0.5)
        return code

    def stop(self, grace: float = STOP_TIMEOUT) -> int:
        """Ask it to end (SIGTERM); return its exit code, 137 when it had to be killed."""
        words = ("stop", "--time", f"{grace:.0f}", self.identity)
        self._engine.docker(*words, timeout=grace + PROBE_TIMEOUT)
        return self.wait_until_ended(PROBE_TIMEOUT)


@contextlib.contextmanager
def pod(engine: Engine, spec: Container) -> Iterator[Pod]:
    """Run a container as a cluster does: no capabilities, no new privileges; gone afterwards."""
    words = ["run", "--detach", "--pull", "never", "--network", spec.network]
    words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    words += ["--read-only"] * spec.read_only_root
    words += ["--user", spec.user] * bool(spec.user)
    for name, value in spec.environ.items():
        words += ["--env", f"{name}={value}"]
    for place, folder in spec.folders.items():
        words += _mount(place, folder, read_only=place in spec.read_only_folders)
    entrypoint, *rest = spec.command or ("",)
    words += ["--entrypoint", entrypoint] * bool(entrypoint)
    identity = engine.docker(*words, spec.image, *rest, *spec.args).strip()
    try:
        yield Pod(engine, identity)
    finally:
        engine.docker("rm", "--force", "--volumes", identity)


def _mount(place: str, folder: Path | None, *, read_only: bool) -> list[str]:
    if folder is None:
        return ["--tmpfs", f"{place}:rw,mode=1777"]
    suffix = ":ro" if read_only else ""
    return ["--volume", f"{folder}:{place}{suffix}"]
