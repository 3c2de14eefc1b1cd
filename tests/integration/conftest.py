"""Fixtures of the mirror's scenarios: a rig for every kind of target."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import (
    BucketPlace,
    FolderPlace,
    MemoryPlace,
    RealPlace,
    ServerPlace,
)
from tests.servers.kinds import KINDS
from tests.servers.moto_server import moto_server
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.s3 import new_location
from tests.wide import first_of

from paperfleet.mirror import loop, policy
from paperfleet.model import NINE_METHODS
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.mirror_places import Place
    from tests.servers.base import WebDavServer
    from tests.servers.nextcloud_double import NextcloudDouble
    from tests.servers.s3 import S3Server

REAL = [os.environ.get(f"PAPERFLEET_TEST_NEXTCLOUD_{name}") for name in ("URL", "USER", "PASSWORD")]
PLACES = ["nextcloud", "nine methods", "local", "memory", "wsgidav"] + ["real"] * all(REAL)
"""The first two, a target with every ability and one with none, are in ``make test``."""
BUCKET = "bucket"
"""In ``make test`` for what others do at the target, where it differs most."""
SLOW_PLACES = ["rclone", "apache", "nginx", "lighttpd", "sabre"]
"""Servers that start slowly or answer slowly: a few long scenarios instead of many short ones."""


class Servers:
    """Starts each kind of server once for all tests of a process."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[str, WebDavServer] = {}

    def get(self, kind: str) -> WebDavServer:
        """Return the server of a kind, with nothing in it; skip where it cannot run."""
        reason = KINDS[kind].missing()
        if reason:
            pytest.skip(reason)
        if kind not in self._running:
            self._running[kind] = self._stack.enter_context(KINDS[kind].start())
        self._running[kind].clear()
        return self._running[kind]


@pytest.fixture
def location() -> str:
    """Return the name of a folder in a bucket that no other test uses."""
    return new_location()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(scope="session")
def buckets() -> Iterator[S3Server]:
    """Run an S3 server once for all tests of a process; each has a place of its own in it."""
    with moto_server() as running:
        yield running


@pytest.fixture
def double() -> Iterator[NextcloudDouble]:
    """Run a double of a Nextcloud, new for each test."""
    with nextcloud_double() as running:
        yield running


@pytest.fixture
def rclone() -> Iterator[WebDavServer]:
    """Run rclone, new for each test, for it slows down with every file it has seen."""
    reason = KINDS["rclone"].missing()
    if reason:
        pytest.skip(reason)
    with KINDS["rclone"].start() as running:
        yield running


@contextmanager
def real_place() -> Iterator[Place]:
    """Make a folder on the real Nextcloud, and remove it afterwards."""
    url, user, password = (str(value) for value in REAL)
    place = RealPlace(f"{url.rstrip('/')}/mirror-{uuid.uuid4().hex[:12]}/", user, password)
    try:
        yield place
    finally:
        place.client.dav("DELETE")
        place.client.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the mirror's waits short; their order of size stays."""
    monkeypatch.setattr(loop, "_HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(loop, "_QUIET_SECONDS", 0.1)
    monkeypatch.setattr(loop, "_LAST_WORK_SECONDS", 1.0)
    monkeypatch.setattr(loop, "_SOURCE_GONE_SECONDS", 0.1)
    monkeypatch.setattr(policy, "_FIRST_QUARANTINE", 0.3)
    monkeypatch.setattr(policy, "_QUOTA_REST", 0.2)


def make_place(kind: str, request: pytest.FixtureRequest, folder: Path) -> Place:
    """Return an empty target of a kind."""
    if kind == "local":
        return FolderPlace(folder / "target")
    if kind == "memory":
        return MemoryPlace(MemoryBackend())
    if kind == "nine methods":
        return MemoryPlace(MemoryBackend(capabilities=NINE_METHODS), kind)
    if kind == BUCKET:
        return BucketPlace(request.getfixturevalue("buckets"))
    if kind in {"nextcloud", "rclone"}:
        return ServerPlace(request.getfixturevalue("double" if kind == "nextcloud" else kind))
    servers: Servers = request.getfixturevalue("servers")
    return ServerPlace(servers.get(kind))


@pytest.fixture(params=first_of([*PLACES, BUCKET], 2))
def rig(request: pytest.FixtureRequest, tmp_path: Path, quick: None) -> Iterator[Rig]:  # noqa: ARG001
    """Return a mirror to one kind of target after the other."""
    yield from rig_on(request, tmp_path)


def rig_on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Yield a mirror to the kind of target that is the fixture's parameter."""
    if request.param == "real":
        with real_place() as place:
            yield Rig(tmp_path, place)
    else:
        yield Rig(tmp_path, make_place(request.param, request, tmp_path))


@pytest.fixture(params=first_of(SLOW_PLACES))
def slow_rig(request: pytest.FixtureRequest, tmp_path: Path, quick: None) -> Rig:  # noqa: ARG001
    """Return a mirror to one kind of slow server after the other."""
    return Rig(tmp_path, make_place(request.param, request, tmp_path))


@pytest.fixture(params=first_of([*SLOW_PLACES, "apache behind TLS"]))
def far_rig(request: pytest.FixtureRequest, tmp_path: Path, quick: None) -> Rig:  # noqa: ARG001
    """Return a mirror to one kind of slow server after the other, behind a proxy too."""
    return Rig(tmp_path, make_place(request.param, request, tmp_path))


@pytest.fixture
def disk(tmp_path: Path, quick: None) -> Rig:  # noqa: ARG001
    """Return a mirror to a folder on disk, for what does not depend on the target."""
    return Rig(tmp_path, FolderPlace(tmp_path / "target"))


@pytest.fixture
def cloud(tmp_path: Path, double: NextcloudDouble, quick: None) -> Rig:  # noqa: ARG001
    """Return a mirror to a double of a Nextcloud."""
    return Rig(tmp_path, ServerPlace(double))
