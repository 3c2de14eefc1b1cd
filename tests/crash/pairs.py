"""A source and a target that agree, made afresh for each kill, on a WebDAV server or a bucket."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.crash.mirror_child import Setup, child, run_once
from tests.servers.base import open_connections
from tests.servers.moto_server import moto_server
from tests.servers.nextcloud_double import NextcloudDouble
from tests.servers.s3 import S3Bypass
from tests.servers.s3_faults import s3_faults
from tests.trees import read_tree

from paperfleet.journal.journal import Journal
from paperfleet.storage.bucket import settling
from paperfleet.storage.bucket.client import SAVE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.base import WebDavServer
    from tests.servers.s3 import S3Server
    from tests.servers.s3_faults import Kind, S3Faults

Files = dict[str, bytes]
CLAIMED = "is under way, or was cut off moments ago"
BOUND = 60.0
"""Seconds that a child may take."""
FOREIGN = {"a/theirs.txt": b"somebody else's", "new/theirs.txt": b"also not ours"}
BEFORE = {
    "a/keep.pdf": b"unchanged",
    "a/change.pdf": b"first version",
    "a/gone.pdf": b"to be deleted",
    "a/rename.pdf": b"to be renamed",
    "swap/one.pdf": b"one",
    "swap/two.pdf": b"the other",
    "folder/x.pdf": b"x moves with its folder",
    "folder/deep/y.pdf": b"y too",
    "kind": b"a file that becomes a folder",
}
processes = multiprocessing.get_context("forkserver")


def write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def edit(source: Path) -> None:
    """Make one change of each kind."""
    (source / "a/change.pdf").write_bytes(b"second version, longer")
    (source / "a/gone.pdf").unlink()
    (source / "a/rename.pdf").rename(source / "a/renamed.pdf")
    (source / "swap/one.pdf").rename(source / "swap/temporary")
    (source / "swap/two.pdf").rename(source / "swap/one.pdf")
    (source / "swap/temporary").rename(source / "swap/two.pdf")
    (source / "folder").rename(source / "elsewhere")
    (source / "kind").unlink()
    write(source, {"kind/now.pdf": b"in a folder", "new/one.pdf": b"1", "new/two.pdf": b"22"})


class Pair(ABC):
    """A source and a target."""

    kind: str
    requests: tuple[str, ...]
    """The methods of HTTP that the target may be asked with."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self._count = 0

    def fresh(self, *, synced: bool, edited: bool = True) -> Setup:
        """Return a new pair: empty at the target, or synced once and then edited."""
        self._count += 1
        folder = self.base / str(self._count)
        write(folder / "source", BEFORE)
        setup = self._setup(folder, f"{self.base.name}-{self._count}")
        for name, content in FOREIGN.items():
            self.put_there(setup, name, content)
        if synced:
            run_once(setup)
            if edited:
                edit(setup.source)
        return setup

    @abstractmethod
    def _setup(self, folder: Path, name: str) -> Setup:
        """Return where everything is, with the target at this name."""

    @abstractmethod
    def put_there(self, setup: Setup, name: str, content: bytes) -> None:
        """Write at the target as somebody else would, surely with another etag."""

    @abstractmethod
    def tree(self, setup: Setup) -> Files:
        """Return every file at the target."""

    @abstractmethod
    def sent(self, setup: Setup) -> Callable[[], set[str]]:
        """Return what tells which files were written anew since now; a rename writes none."""

    @abstractmethod
    def killed_at(self, setup: Setup, point: str, nth: int) -> bool:
        """Run a child; say whether it died at the point (else it finished)."""

    def start_again(self, setup: Setup) -> None:
        """Run after a kill, until all is as it should be."""
        outcome = run_once(setup)
        assert outcome.converged
        assert outcome.failed == 0

    def discard(self, setup: Setup) -> None:
        """Remove the pair."""
        shutil.rmtree(setup.source.parent)

    def check_agreement(self, setup: Setup) -> None:
        """See that the target has what the source has, and what others had there."""
        found, wanted = self.tree(setup), read_tree(setup.source) | FOREIGN
        assert found == wanted, found


class DavPair(Pair):
    """The target is a folder of a WebDAV server; ``found`` as in ``Setup``."""

    requests = ("PROPFIND", "HEAD", "MKCOL", "PUT", "MOVE", "DELETE", "POST")

    def __init__(
        self,
        server: WebDavServer,
        base: Path,
        found: tuple[str, ...] = (),
        *,
        connections: int = 8,
    ) -> None:
        super().__init__(base)
        self.server, self.kind, self.found = server, server.kind, found
        self.connections = connections

    def _setup(self, folder: Path, name: str) -> Setup:
        url = self.server.url.rstrip("/") + f"/{name}"
        login = self.server.user, self.server.password
        journal = folder / "journal.sqlite"
        source = folder / "source"
        return Setup(source, url, journal, self.kind, *login, self.found, self.connections)

    def put_there(self, setup: Setup, name: str, content: bytes) -> None:
        path = f"{self._root(setup).name}/{name}"
        if isinstance(self.server, NextcloudDouble):
            self.server.write(path, content, int(time.time()) + 5)  # etags are of whole seconds
        else:
            self.server.write(path, content)

    def tree(self, setup: Setup) -> Files:
        return read_tree(self._root(setup))

    def sent(self, setup: Setup) -> Callable[[], set[str]]:
        """See ``Pair``: on Nextcloud PUTs tell; elsewhere each save makes a new file."""
        root, before = self._root(setup), self._inodes(setup)
        self.server.requests.clear()
        if self.kind == "nextcloud":
            start = f"{root.name}/"
            pairs = self.server.requests.pairs
            return lambda: {path.removeprefix(start) for what, path in pairs() if what == "PUT"}
        return lambda: {n for n, i in self._inodes(setup).items() if before.get(n) != i}

    def killed_at(self, setup: Setup, point: str, nth: int) -> bool:
        process = processes.Process(target=child, args=(setup, point, nth))
        process.start()
        process.join(BOUND)
        self.server.wait_until_idle()
        assert process.exitcode in {0, -signal.SIGKILL}, f"the child ended with {process.exitcode}"
        return process.exitcode == -signal.SIGKILL

    def discard(self, setup: Setup) -> None:
        super().discard(setup)
        self.server.wait_until_idle()
        self.server.delete(self._root(setup).name)

    def _root(self, setup: Setup) -> Path:
        return self.server.root / setup.target.rpartition("/")[2]

    def _inodes(self, setup: Setup) -> dict[str, int]:
        root = self._root(setup)
        return {name: (root / name).stat().st_ino for name in read_tree(root)}


@dataclass(frozen=True)
class BucketServer:
    """An S3 server, and a proxy in front of it at which a request of a child can be stopped."""

    direct: S3Server
    proxied: S3Server
    faults: S3Faults


@contextmanager
def bucket_server() -> Iterator[BucketServer]:
    """Run moto with a proxy in front."""
    with ExitStack() as stack:
        direct = stack.enter_context(moto_server())
        yield BucketServer(direct, *stack.enter_context(s3_faults(direct)))


class BucketPair(Pair):
    """The target is a location in a bucket.

    obstore sends its requests itself, so a child is killed from here: a proxy holds its request,
    before the server has it or with the answer.
    """

    kind = "bucket"
    requests = ("GET", "HEAD", "PUT", "DELETE", "POST")

    def __init__(self, server: BucketServer, base: Path) -> None:
        super().__init__(base)
        self._server = server

    def _setup(self, folder: Path, name: str) -> Setup:
        server = self._server.direct
        target = f"{server.endpoint_url}/{server.bucket}/{name}"
        login = server.access_key, server.secret_key
        return Setup(folder / "source", target, folder / "journal.sqlite", self.kind, *login)

    def put_there(self, setup: Setup, name: str, content: bytes) -> None:
        self._bypass(setup).write(name, content)

    def tree(self, setup: Setup) -> Files:
        there = self._bypass(setup)
        return {name: there.read(name) for name in there.names()}

    def sent(self, setup: Setup) -> Callable[[], set[str]]:
        """See ``Pair``: what the mirror writes has a mark of its own each time."""
        before = self._marks(setup)
        return lambda: {n for n, mark in self._marks(setup).items() if before.get(n) != mark}

    def killed_at(self, setup: Setup, point: str, nth: int) -> bool:
        faults, proxied = self._server.faults, self._server.proxied.endpoint_url
        target = setup.target.replace(self._server.direct.endpoint_url, proxied)
        where, when = point.split(":")
        kind, _, method = where.partition(".")
        if kind == "http":
            hang: Kind = "hang before" if when == "before" else "hang after"
            faults.fail(hang, method, spare=nth - 1)
        process = processes.Process(target=child, args=(replace(setup, target=target), point, nth))
        process.start()
        deadline = time.monotonic() + BOUND
        while process.is_alive() and not faults.hanging.wait(0.01):
            assert time.monotonic() < deadline, "the child goes on"
        if faults.hanging.is_set():
            process.kill()
        process.join(BOUND)
        faults.heal()
        while open_connections(urlsplit(proxied).port):
            assert time.monotonic() < deadline, "the dead child's requests go on"
            time.sleep(0.01)
        assert process.exitcode in {0, -signal.SIGKILL}, f"the child ended with {process.exitcode}"
        return process.exitcode == -signal.SIGKILL

    def start_again(self, setup: Setup) -> None:
        """See ``Pair``; what a dead mirror was moving is left alone for as long as it may be alive.

        A claim counts for a minute and more. That time is made short here, after a first run at
        once, which must neither lose a document nor say that all is in sync.
        """
        wanted = read_tree(setup.source).values()
        before = [content for content in self.tree(setup).values() if content in wanted]
        outcome = run_once(setup)
        assert outcome.converged
        after = list(self.tree(setup).values())
        assert all(content in after for content in before)
        with Journal.open(setup.journal, source="source", target="target") as journal:
            waiting = journal.quarantined()
            assert len(waiting) == outcome.failed
            assert all(CLAIMED in one.reason for one in waiting), waiting
            journal.release([one.name for one in waiting])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settling, "LEAST_SECONDS", 0.0)
            patch.setattr(settling, "BYTES_PER_SECOND", 1e18)
            super().start_again(setup)

    def _bypass(self, setup: Setup) -> S3Bypass:
        return S3Bypass(self._server.direct, setup.target.rpartition("/")[2])

    def _marks(self, setup: Setup) -> dict[str, str]:
        there = self._bypass(setup)
        return {name: there.noted(name).get(SAVE, "") for name in there.names() - FOREIGN.keys()}
