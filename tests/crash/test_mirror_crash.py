"""A mirror killed at every journal write and around every request, then started again.

Afterwards source, target and journal agree, nobody else's file was touched, and nothing was sent
again that had arrived.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.crash.mirror_child import JOURNAL_WRITES, Setup, child, run_once
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double
from tests.servers.wsgidav_server import wsgidav_server
from tests.wide import first_of

from paperfleet.journal.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers.base import WebDavServer

pytestmark = pytest.mark.crash

FOREIGN = {"a/theirs.txt": b"somebody else's", "new/theirs.txt": b"also not ours"}
REQUESTS = ("PROPFIND", "HEAD", "MKCOL", "PUT", "MOVE", "DELETE", "POST")
POINTS = [
    *(f"journal.{write}:{when}" for write in JOURNAL_WRITES for when in ("before", "after")),
    *(f"http.{method}:{when}" for method in REQUESTS for when in ("before", "after")),
]
EVERY_REACH = range(1, 60)
SOME_REACHES = (1, 3, 10, 30)
"""The first, which differ most, and some later ones: the others widen them."""

ROOT = Path(__file__).parents[2]
processes = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def _imports_are_done_once() -> None:
    """Start the fork server with everything imported; it looks for modules in PYTHONPATH only."""
    processes.set_forkserver_preload(["tests.crash.mirror_child"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        forkserver.ensure_running()


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: content for name, content in found.items() if name not in FOREIGN}


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


@pytest.fixture(scope="module", params=["nextcloud", "wsgidav"])
def server(request: pytest.FixtureRequest) -> Iterator[WebDavServer]:
    start = nextcloud_double if request.param == "nextcloud" else wsgidav_server
    with start() as running:
        yield running


class Pair:
    """A source and a target that agree, copied afresh for each kill."""

    def __init__(self, server: WebDavServer, base: Path) -> None:
        self.server, self.base = server, base
        self.count = 0
        self.synced = base / "synced"

    def fresh(self, *, synced: bool, edited: bool = True) -> Setup:
        """Return a new pair: empty at the target, or synced once and then edited."""
        self.count += 1
        folder = self.base / str(self.count)
        name = f"{self.base.name}-{self.count}"
        write(folder / "source", BEFORE)
        for foreign, content in FOREIGN.items():
            self.server.write(f"{name}/{foreign}", content)
        url = self.server.url.rstrip("/") + f"/{name}"
        setup = Setup(
            folder / "source",
            url,
            folder / "journal.sqlite",
            self.server.kind,
            self.server.user,
            self.server.password,
        )
        if synced:
            run_once(setup)
            if edited:
                edit(setup.source)
        return setup

    def target(self, setup: Setup) -> Path:
        return self.server.root / setup.target.rpartition("/")[2]

    def discard(self, setup: Setup) -> None:
        shutil.rmtree(setup.source.parent)
        self.server.wait_until_idle()
        self.server.delete(self.target(setup).name)


@pytest.fixture
def pair(server: WebDavServer, tmp_path: Path) -> Pair:
    return Pair(server, tmp_path)


def killed_at(server: WebDavServer, setup: Setup, point: str, nth: int) -> bool:
    """Run a child; say whether it died at the point (else it finished)."""
    process = processes.Process(target=child, args=(setup, point, nth))
    process.start()
    process.join(60)
    server.wait_until_idle()
    assert process.exitcode in {0, -signal.SIGKILL}, f"the child ended with {process.exitcode}"
    return process.exitcode == -signal.SIGKILL


def check_agreement(pair: Pair, setup: Setup) -> None:
    source, target = read(setup.source), read(pair.target(setup))
    assert target == source
    with Journal.open(setup.journal, source="source", target="target") as journal:
        rows = {row.name: row for row in journal.known()}
        assert journal.count_pending() == 0
    assert rows.keys() == source.keys()
    assert all(row.sure and row.target_name == row.name for row in rows.values())
    for name, content in FOREIGN.items():
        assert (pair.target(setup) / name).read_bytes() == content


@pytest.mark.parametrize("synced", [False, True], ids=["first", "changes"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("reaches", first_of([SOME_REACHES, EVERY_REACH]), ids=["some", "every"])
def test_killed_and_started_again(
    pair: Pair, point: str, reaches: Sequence[int], *, synced: bool
) -> None:
    for nth in reaches:
        setup = pair.fresh(synced=synced)
        died = killed_at(pair.server, setup, point, nth)
        arrived = Arrived(pair, setup)
        outcome = run_once(setup)
        assert outcome.converged
        assert outcome.failed == 0
        check_agreement(pair, setup)
        arrived.check_not_sent_again()
        pair.discard(setup)
        if not died:
            break
    else:
        assert reaches is SOME_REACHES, f"{point} was reached more than {nth} times"
    if nth == 1:
        pytest.skip(f"{point} is not reached in this scenario on {pair.server.kind}")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", ["remember", "set_folder_etags"])
def test_what_others_changed_is_seen_after_a_kill_between_finding_and_noting_it(
    pair: Pair, write: str, when: str
) -> None:
    """The doubt about a file is on the disk before the etags are that would hide it."""
    if not isinstance(pair.server, NextcloudDouble):
        pytest.skip(f"folders have no etags on {pair.server.kind}")
    setup = pair.fresh(synced=True, edited=False)  # other work would show it by chance
    target = pair.target(setup)
    later = int(time.time()) + 5  # etags are of whole seconds
    pair.server.write(f"{target.name}/a/keep.pdf", b"foreign!!", later)
    killed = killed_at(pair.server, setup, f"journal.{write}:{when}", 1)
    assert killed
    assert run_once(setup).converged
    check_agreement(pair, setup)
    pair.discard(setup)


class Arrived:
    """What had arrived when the process was killed, and how to see that it is sent again.

    On Nextcloud the PUTs tell. On a plain server each save makes a new file, so the inode tells.
    """

    def __init__(self, pair: Pair, setup: Setup) -> None:
        self.pair, self.folder = pair, pair.target(setup)
        source = read(setup.source)
        names = {n for n, content in read(self.folder).items() if source.get(n) == content}
        self.inodes = {name: (self.folder / name).stat().st_ino for name in names}
        pair.server.requests.clear()

    def check_not_sent_again(self) -> None:
        if self.pair.server.kind == "nextcloud":
            sent = {path for method, path in self.pair.server.requests.pairs() if method == "PUT"}
            again = {name for name in self.inodes if f"{self.folder.name}/{name}" in sent}
        else:
            again = {n for n, i in self.inodes.items() if (self.folder / n).stat().st_ino != i}
        assert not again, f"{again} had arrived and was sent again"
