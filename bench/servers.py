"""The servers to measure against, and folders in them."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from tests.servers.base import WebDavServer
from tests.servers.kinds import KINDS

from bench.simulated import simulated_nextcloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_numbers = count(1)
_UNLOCKING_SECONDS = 60.0


@dataclass(frozen=True)
class Kind:
    """A server: its title in tables, and what rclone is told that it is (``--webdav-vendor``)."""

    title: str
    vendor: str
    start: Callable[[], AbstractContextManager[WebDavServer]]
    simulated: bool = False


SERVERS = {
    "rclone": Kind("rclone serve webdav", "rclone", KINDS["rclone"].start),
    "apache": Kind("Apache mod_dav", "other", KINDS["apache"].start),
    "wsgidav": Kind("WsgiDAV (Python)", "other", KINDS["wsgidav"].start),
    "nextcloud": Kind("Nextcloud, simulated", "nextcloud", simulated_nextcloud, simulated=True),
}

_CLOUD = tuple(f"PAPERFLEET_TEST_NEXTCLOUD_{one}" for one in ("URL", "USER", "PASSWORD", "ROOT"))


@contextmanager
def named_cloud() -> Iterator[WebDavServer]:
    """Give the Nextcloud that the environment names; it is neither started nor stopped here."""
    url, user, password, root = (os.environ[name] for name in _CLOUD)
    yield WebDavServer(f"{url.rstrip('/')}/", user, password, Path(root), "nextcloud")


NAMED_CLOUD = Kind("Nextcloud", "nextcloud", named_cloud)


def cloud_missing() -> str | None:
    """Return why no real Nextcloud can be measured, None when one is named.

    ``…_ROOT`` is the folder on disk that the address shows, so that every byte can be compared.
    """
    absent = [name for name in _CLOUD if not os.environ.get(name)]
    return f"{', '.join(absent)} not set" if absent else None


@dataclass(frozen=True)
class Target:
    """A folder at a running server. ``url`` ends with a slash; ``root`` is where it is on disk."""

    kind: Kind
    url: str
    user: str
    password: str
    root: Path

    def through(self, url: str) -> Target:
        """Return the same folder, reached by another address of its server."""
        return replace(self, url=url)


def missing(name: str) -> str | None:
    """Return why a server cannot run here, None when it can."""
    return KINDS[name].missing()


@contextmanager
def folder_at(kind: Kind, server: WebDavServer) -> Iterator[Target]:
    """Make a new, empty folder at the server; remove it with all in it afterwards."""
    name = f"run-{os.getpid()}-{next(_numbers)}"
    target = Target(kind, f"{server.url}{name}/", server.user, server.password, server.root / name)
    with httpx.Client(auth=server.auth, timeout=120) as client:
        client.request("MKCOL", target.url).raise_for_status()
        try:
            yield target
        finally:
            _remove(client, target.url)


def _remove(client: httpx.Client, url: str) -> None:
    """Remove a folder; a Nextcloud refuses with 423 while it works on what a client left."""
    ends_at = time.monotonic() + _UNLOCKING_SECONDS
    while (answer := client.delete(url)).status_code == httpx.codes.LOCKED:
        if time.monotonic() > ends_at:
            break
        time.sleep(0.5)
    answer.raise_for_status()
