"""A migration that is told to stop while a server says nothing any more."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import pytest
from tests.servers.base import HOST
from tests.servers.tcp_proxy import TcpProxy
from tests.servers.wsgidav_server import wsgidav_server

from paperfleet.secret import Secret
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.names import is_temporary
from paperfleet.storage.wrappers.retrying import Retrying
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.migrate import FileEvent, Migration, MigrationPlanned, MigrationStep
from paperfleet.transfer.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.base import WebDavServer

    from paperfleet.storage.protocol import DocumentStorage

FILES = {f"{number}.pdf": bytes([number]) * 100 for number in range(9)}
SILENCE = 300.0
"""Seconds that a storage here waits for an answer: the test is over long before."""
SOON = 60.0


class Place(NamedTuple):
    server: WebDavServer
    proxy: TcpProxy

    def backend(self) -> WebDavBackend:
        netloc = f"{HOST}:{self.proxy.port}"
        url = urlunsplit(urlsplit(self.server.url)._replace(netloc=netloc))
        password = Secret(self.server.password)
        return WebDavBackend(url, username=self.server.user, password=password, timeout=SILENCE)


@pytest.fixture(scope="module")
def server() -> Iterator[WebDavServer]:
    with wsgidav_server() as server:
        yield server


@pytest.fixture
def place(server: WebDavServer) -> Iterator[Place]:
    server.clear()
    proxy = TcpProxy(urlsplit(server.url).port or 0)
    yield Place(server, proxy)
    proxy.heal()
    proxy.cut()


def memory() -> MemoryBackend:
    storage = MemoryBackend()
    storage.files.update(FILES)
    return storage


class Silenced:
    """Lets the server fall silent after so many events, and then tells the migration to stop."""

    def __init__(self, proxy: TcpProxy, step: MigrationStep) -> None:
        self._proxy, self._step = proxy, step
        self.migration: Migration | None = None
        self.steps: list[MigrationStep] = []

    def __call__(self, event: FileEvent | MigrationPlanned) -> None:
        if isinstance(event, MigrationPlanned):
            return
        self.steps.append(event.step)
        if event.step is self._step and self.migration:
            self._proxy.fall_silent()
            self.migration.stop()


def documents(place: Place) -> dict[str, bytes]:
    """Return what is there but temporary files, which stay until the next sweep."""
    return {n: c for n, c in place.server.tree().items() if not is_temporary(n)}


def soon(work: Callable[[], object]) -> None:
    """Do it; it has to end long before a request by itself gives up."""
    began = time.monotonic()
    work()
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize("retries", [False, True])
def test_a_silent_target_is_not_waited_for(place: Place, tmp_path: Path, *, retries: bool) -> None:
    target: DocumentStorage = place.backend()
    target = Retrying(target, longest_delay=SILENCE, first_delay=SILENCE) if retries else target
    listener = Silenced(place.proxy, MigrationStep.COPIED)
    with memory() as source, target, Progress(tmp_path / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listener, threads=2)
        plan = migration.plan()
        listener.migration = migration
        account = None

        def copy() -> None:
            nonlocal account
            account = migration.copy(*plan)

        soon(copy)
    assert account is not None
    assert account.stopped == "it was interrupted"
    assert account.failures == {}
    assert account.counts[MigrationStep.COPIED] < len(FILES)
    assert not account.complete
    proven = {entry.name for entry in account.entries}
    assert {n: place.server.read(n) for n in proven} == {n: FILES[n] for n in proven}

    place.proxy.heal()
    with memory() as source, place.backend() as target, Progress(tmp_path / "2.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), lambda _: None)
        assert migration.copy(*migration.plan()).complete
    assert documents(place) == FILES


def test_a_listing_that_does_not_come_is_not_waited_for(place: Place, tmp_path: Path) -> None:
    with (
        MemoryBackend() as target,
        place.backend() as source,
        Progress(tmp_path / "progress.jsonl") as progress,
    ):
        migration = Migration(source, target, progress, Bandwidth(None), lambda _: None)
        place.proxy.fall_silent()
        # Most often while the answer is awaited; the promise is the same before that.
        stopping = threading.Timer(0.2, migration.stop)
        stopping.start()

        def run() -> None:
            files, there = migration.plan()
            assert (files, there) == ([], {})
            assert migration.copy(files, there).stopped == "it was interrupted"

        soon(run)
        stopping.join()


def test_deleting_at_a_silent_source_is_not_waited_for(place: Place, tmp_path: Path) -> None:
    for name, content in FILES.items():
        place.server.write(name, content)
    listener = Silenced(place.proxy, MigrationStep.DELETED)
    target = MemoryBackend()
    with place.backend() as source, target, Progress(tmp_path / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listener)
        account = migration.copy(*migration.plan())
        assert account.complete
        listener.migration = migration
        soon(lambda: migration.let_go(account))
    assert account.stopped == "it was interrupted while deleting"
    assert account.counts[MigrationStep.DELETED] == 1
    assert account.failures == {}
    assert dict(target.files) == FILES
    assert len(documents(place)) == len(FILES) - 1
