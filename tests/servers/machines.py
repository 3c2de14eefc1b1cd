"""Machines in a network that has no way out: namespaces that have no folder in common.

Whoever makes the network is moved into it for as long as it lasts, and so is what it starts: the
servers that the machines have in common. A machine has a network, processes, mounts, a host name
and one folder of its own; all else it can only read, and the folders of the others it cannot see.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# 198.18.0.0/15 belongs to nobody: it is for tests of networks (RFC 2544).
_NETWORK = "198.18.0"
SERVERS = f"{_NETWORK}.1"
"""The address at which machines reach the servers that the test runs."""
_SWITCH = "switch"
_CLONE_NEWNET = 0x40000000
_INIT = Path(__file__).with_name("machine_init.py")
_TOOLS = ("ip", "unshare", "nsenter", "mount", "env")
_SPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")
START_TIMEOUT = 60.0
END_TIMEOUT = 30.0


def machines_missing() -> str | None:
    """Say why no machines can be made here."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"{' and '.join(missing)} is missing: machines of a network need it"
    if os.geteuid() != 0:
        return "only root makes machines of namespaces"
    link = "ip link add switch type bridge && ip link add cable1 type veth peer name eth0"
    command = ["unshare", *_SPACES, "--fork", "sh", "-c", link]
    probe = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT)
    if probe.returncode:
        return f"no machine of namespaces can be made: {probe.stderr.strip()}"
    return None


@contextlib.contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Move this thread into a network of its own; its machines end with the block."""
    with own_network(), contextlib.ExitStack() as stack:
        _ip("link", "add", _SWITCH, "type", "bridge")
        _ip("address", "add", f"{SERVERS}/24", "dev", _SWITCH)
        _ip("link", "set", _SWITCH, "up")
        yield Network(folder, stack)


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and what it starts, into a network that has loopback and no way out."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _require(libc.unshare(_CLONE_NEWNET))
        try:
            _ip("link", "set", "lo", "up")
            yield
        finally:
            _require(libc.setns(before, _CLONE_NEWNET))
    finally:
        os.close(before)


def _require(answer: int) -> None:
    if answer:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Network:
    """A switch, and the machines at it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._stack, self._count = stack, 0
        self.all, self.home = folder / "machines", folder / "machine"
        for made in (self.all, self.home):
            made.mkdir()

    def machine(self, name: str) -> Machine:
        """Switch a machine on."""
        self._count += 1
        machine = Machine(self, name, self._count)
        self._stack.callback(machine.switch_off)
        machine.switch_on()
        return machine


class Machine:
    """A host: ``folder`` is its own as seen from outside, ``home`` the same as it sees it itself.

    The folder stays when it is switched off, as a disk does.
    """

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name = name
        self.address = f"{_NETWORK}.{10 + number}"
        self.folder, self.home = network.all / name, network.home
        self._network, self._cable = network, f"cable{number}"
        self._first: subprocess.Popen[str] | None = None
        self._pid = 0
        self.folder.mkdir()

    def switch_on(self) -> None:
        """Start it, and connect it."""
        command = ["unshare", *_SPACES, "--fork", "--kill-child", "--propagation", "private"]
        own = map(str, (self.folder, self.home, self._network.all))
        first = subprocess.Popen(
            [*command, sys.executable, str(_INIT), self.name, *own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._first = first
        assert first.stdout
        told = first.stdout.readline()  # empty when it has ended
        if not told:
            raise RuntimeError(f"the machine {self.name} ended with {first.wait(END_TIMEOUT)}")
        self._pid = int(told)
        cable = (self._cable, "type", "veth", "peer", "name", "eth0", "netns", str(self._pid))
        _ip("link", "add", *cable)
        inside = ("nsenter", "--target", str(self._pid), "--net")
        _ip("address", "add", f"{self.address}/24", "dev", "eth0", inside=inside)
        _ip("link", "set", "eth0", "up", inside=inside)
        _ip("link", "set", self._cable, "up")
        self.plug_in()

    def switch_off(self) -> None:
        """Take its power away: it is cut off, and all its processes are gone, unseen by others."""
        first, self._first = self._first, None
        if first is None:
            return
        if self._pid and first.poll() is None:
            self.unplug()
            os.kill(self._pid, signal.SIGKILL)
        with first:  # closes its pipes, and waits
            first.kill()
        _ip("link", "delete", self._cable, check=False)  # it goes with the network, but later
        self._pid = 0

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self._first is not None

    def unplug(self) -> None:
        """Cut it off: no packet passes, and nobody is told."""
        _ip("link", "set", self._cable, "nomaster")

    def plug_in(self) -> None:
        """Connect it again."""
        _ip("link", "set", self._cable, "master", _SWITCH)

    def command(self, words: Sequence[str], cwd: Path | str) -> list[str]:
        """Return what runs a command there, in a folder as the machine sees it."""
        entered = ("nsenter", "--target", str(self._pid), *_SPACES)
        return [*entered, "env", "-C", str(cwd), *words]

    def run(
        self, words: Sequence[str], environ: Mapping[str, str], cwd: Path | str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end; both outputs are one."""
        return subprocess.run(
            self.command(words, cwd),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def start(
        self, words: Sequence[str], environ: Mapping[str, str], cwd: Path | str, log: Path
    ) -> Program:
        """Start a program there, with its output in a file outside."""
        with log.open("ab") as sink:
            began = sink.tell()
            process = subprocess.Popen(
                self.command(words, cwd),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        return Program(process, log, began)


class Program:
    """A program on a machine, with all the processes that it starts."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, began: int) -> None:
        self._process, self._log, self._began = process, log, began

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its main process, numbered as outside of the machine."""
        (found,) = children_of(self._process.pid)
        return found

    def children(self) -> list[int]:
        """Return the processes that its main process has started."""
        return children_of(self.pid)

    def output(self) -> str:
        """Return what it has printed."""
        with self._log.open("rb") as stream:
            stream.seek(self._began)
            return stream.read().decode(errors="replace")

    def terminate(self) -> None:
        """Ask its main process to end (SIGTERM), as an orchestrator does."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout: float) -> int:
        """Return its exit code; raise ``subprocess.TimeoutExpired``."""
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End it with all its processes, without a chance to do anything (SIGKILL)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(END_TIMEOUT)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started (proc(5)), in order."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = status.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(status.parent.name))
    return sorted(found)


def _ip(*arguments: str, inside: Sequence[str] = (), check: bool = True) -> None:
    subprocess.run(
        [*inside, "ip", *arguments], check=check, capture_output=True, timeout=START_TIMEOUT
    )
