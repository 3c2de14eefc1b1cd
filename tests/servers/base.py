"""What every test server offers, and the helpers that start one within a bounded time."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

HOST = "127.0.0.1"
START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0
_LOWEST_PORT = 10_000
_TIME_WAIT, _LISTENS = "06", "0A"


class ServerStartError(RuntimeError):
    """A test server did not answer in time; the text carries what it printed."""


@dataclass
class RecordedRequest:
    """A request as it arrived: `path` is decoded and relative to the storage root.

    `status` is 0 until it was answered, and stays 0 when the connection was cut instead. `login`
    names what let it in ("session", "app", "account") where the server tells.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    time: float = 0.0
    status: int = 0
    login: str = ""


class RequestLog:
    """The requests of a server in order of arrival; safe to use from many threads."""

    def __init__(self) -> None:
        self._requests: list[RecordedRequest] = []
        self._lock = threading.Lock()

    def add(self, request: RecordedRequest) -> None:
        """Note a request."""
        with self._lock:
            self._requests.append(request)

    def all(self) -> list[RecordedRequest]:
        """Return a copy of the log."""
        with self._lock:
            return list(self._requests)

    def pairs(self) -> list[tuple[str, str]]:
        """Return (method, path) of each request."""
        return [(request.method, request.path) for request in self.all()]

    def count(self, method: str | None = None) -> int:
        """Return how many requests there were, or how many with this method."""
        return sum(1 for request in self.all() if method in {None, request.method})

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._requests.clear()

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self.all())

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, index: int) -> RecordedRequest:
        return self.all()[index]


class Running:
    """Counts what is running now; a context manager around each of it."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_until_none(self, timeout: float) -> bool:
        """Wait until nothing runs; False when that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, timeout)


@dataclass
class WebDavServer:
    """A running WebDAV server.

    `url` ends with a slash and is the folder used as storage root. `root` is the local directory
    in which the files really are, so a fixture can look and write past HTTP. `requests` is filled
    where the server can tell (`counts_requests`). `verify` is the file of the authority to trust
    where it speaks TLS, as a storage takes it.
    """

    url: str
    user: str
    password: str
    root: Path
    kind: str
    counts_requests: bool = False
    requests: RequestLog = field(default_factory=RequestLog)
    verify: bool | str = True

    @property
    def auth(self) -> tuple[str, str]:
        """User and password in the form that httpx takes."""
        return self.user, self.password

    def read(self, path: str) -> bytes:
        """Bytes of a file, past HTTP. Raises FileNotFoundError."""
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """Write a file past HTTP, with its parents, as somebody else would."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def delete(self, path: str) -> None:
        """Remove a file or a folder past HTTP. Raises FileNotFoundError."""
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    def tree(self) -> dict[str, bytes]:
        """Every file below the root with its bytes, past HTTP; not what goes away meanwhile."""
        return read_tree(self.root)

    def wait_until_idle(self, timeout: float = STOP_TIMEOUT) -> None:
        """Wait until no connection is open, for example after the only client was killed.

        A request of a dead client goes on at the server, and so does one that it has not even
        accepted. Raises TimeoutError.
        """
        port = urlsplit(self.url).port
        deadline = time.monotonic() + timeout
        while open_connections(port):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.kind} still has connections")
            time.sleep(0.01)

    def clear(self) -> None:
        """Remove everything below the root, past HTTP."""
        for entry in self.root.iterdir():
            self.delete(entry.name)


def open_connections(port: int | None) -> int:
    """Return how many connections a server on loopback holds, accepted or not (proc(5))."""
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    local = (row.split()[1:4:2] for row in rows)
    return sum(
        int(address.rpartition(":")[2], 16) == port and state not in {_LISTENS, _TIME_WAIT}
        for address, state in local
    )


def free_port() -> int:
    """Return a loopback port that was free a moment ago.

    It is below those that the kernel gives to whoever asks for any (ip(7)): a server takes seconds
    to start, and another one was given its port meanwhile. Drawn without a seed, which Hypothesis
    sets alike in all processes.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    for _ in range(100):
        port = _LOWEST_PORT + secrets.randbelow(int(given.split()[0]) - _LOWEST_PORT)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError("no port is free")


def wait_for_port(
    port: int,
    *,
    timeout: float = START_TIMEOUT,
    alive: Callable[[], bool] = lambda: True,
) -> None:
    """Return once something accepts connections on `port`.

    Raises ServerStartError after `timeout` seconds, or as soon as `alive()` says that the server
    is gone.
    """
    deadline = time.monotonic() + timeout
    while not _accepts(port):
        if not alive() or time.monotonic() > deadline:
            raise ServerStartError(f"nothing listens on {HOST}:{port}")
        time.sleep(0.02)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


@contextlib.contextmanager
def server_process(
    command: Sequence[str], port: int, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run `command` until the block ends, with what it started; its output goes to `log`."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=environment,
            start_new_session=True,
        )
    try:
        _wait_for_process(process, port, log)
        yield
    finally:
        stop_process(process)
        _stop_workers(process.pid, port)


def _stop_workers(group: int, port: int) -> None:
    """Kill what outlives its master, as PHP's workers do, and wait until nothing listens."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    deadline = time.monotonic() + STOP_TIMEOUT
    while _accepts(port) and time.monotonic() < deadline:
        time.sleep(0.01)


def _wait_for_process(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    try:
        wait_for_port(port, alive=lambda: process.poll() is None)
    except ServerStartError as error:
        output = log.read_text(errors="replace")[-2000:]
        raise ServerStartError(f"{process.args!r}: {error}\n{output}") from error


def stop_process(process: subprocess.Popen[Any]) -> None:
    """Ask the process to end, and kill it when it has not done so in time."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT)


@contextlib.contextmanager
def server_thread(
    run: Callable[[], object], stop: Callable[[], object], name: str
) -> Iterator[None]:
    """Run `run` in a thread until the block ends, then `stop` it and wait for it."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(STOP_TIMEOUT)
