"""Two network namespaces that stand for hosts, each with a cable to this one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# 198.18.0.0/15 belongs to nobody: it is for tests of networks (RFC 2544).
_NETWORK = "198.18"
_IP = shutil.which("ip")


@dataclass(frozen=True)
class Host:
    """A namespace; `server` is the address at which it sees this machine."""

    namespace: str
    cable: str
    server: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command there when put before it."""
        return (_IP or "ip", "netns", "exec", self.namespace)

    def unplug(self) -> None:
        """Cut the host off: no packet passes, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def plug_in(self) -> None:
        """Connect the host again."""
        _ip("link", "set", self.cable, "up")


def hosts_missing() -> str | None:
    """Say why no hosts can be made here."""
    if _IP is None:
        return "iproute2 is missing"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    probe = f"pf-probe-{os.getpid()}"
    try:
        _ip("netns", "add", probe)
        _ip("netns", "delete", probe)
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made: {error.stderr.decode().strip()}"
    return None


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Make two hosts, and remove them at the end of the block."""
    with contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(_host(number)) for number in range(2))
        yield one, two


@contextlib.contextmanager
def _host(number: int) -> Iterator[Host]:
    process = os.getpid()
    start = f"{_NETWORK}.{process % 256}"
    base = 4 * number
    host = Host(
        namespace=f"pf{process}-{number}",
        cable=f"pf{process}-{number}",
        server=f"{start}.{base + 1}",
        address=f"{start}.{base + 2}",
    )
    inside = f"pfi{process}-{number}"
    _ip("netns", "add", host.namespace)
    try:
        _ip("link", "add", host.cable, "type", "veth", "peer", "name", inside)
        _ip("link", "set", inside, "netns", host.namespace)
        _ip("address", "add", f"{host.server}/30", "dev", host.cable)
        _ip("link", "set", host.cable, "up")
        _ip("-n", host.namespace, "address", "add", f"{host.address}/30", "dev", inside)
        _ip("-n", host.namespace, "link", "set", inside, "up")
        yield host
    finally:
        _ip("netns", "delete", host.namespace)  # with it the cable


def _ip(*arguments: str) -> None:
    subprocess.run([_IP or "ip", *arguments], check=True, capture_output=True, timeout=20)
