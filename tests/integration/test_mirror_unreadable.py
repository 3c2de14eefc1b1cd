"""A folder at the target that cannot be read: told, left alone, and in nobody's way."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import Files, ServerPlace
from tests.servers.dialect_server import DialectServer, Hiding, dialect_server
from tests.servers.nextcloud_double import NextcloudDouble
from tests.trees import read_tree
from tests.wide import first_of

from paperfleet.errors import CredentialsError, StorageError
from paperfleet.journal.journal import Journal
from paperfleet.mirror.events import Done, Notice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Servers

OURS = {"a.pdf": b"a", "mixed/b.pdf": b"bb", "mixed/locked/c.pdf": b"ccc", "other/d.pdf": b"dddd"}
"""Documents, some of which lie in what is then hidden."""

THEIRS = {"mixed/locked/notes.txt": b"theirs", "lost+found/inode": b"recovered"}
LOCKED, FSCK = "mixed/locked", "lost+found"

WAYS = {
    "403 to a look into it": Hiding(),
    "500 to a look into it": Hiding(listing=500, below=500),
    "403 in a listing above": Hiding(member=403),
    "404 in a listing above": Hiding(member=404, below=404),
    "500 in a listing above": Hiding(member=500, below=500),
    "403 for all its properties": Hiding(member=403, in_propstat=True),
    "obeyed blindly": Hiding(below=None),
}
"""How plain servers hide a folder."""


class Hider:
    """A rig whose target can hide folders: a plain server in the given way, a Nextcloud in its."""

    def __init__(self, rig: Rig, how: Hiding) -> None:
        assert isinstance(rig.place, ServerPlace)
        self.rig, self._server, self._how = rig, rig.place.server, how

    def hide(self, folder: str) -> Files:
        """Hide a folder in which somebody has just changed something; return what is in it.

        Without that change a Nextcloud gives nobody a reason to look: no etag is another one.
        """
        if folder:
            self.rig.put_foreign({f"{folder}/more.txt": b"theirs, too"})
        if isinstance(self._server, NextcloudDouble):
            self._server.files.unreadable.add(folder)
        elif isinstance(self._server, DialectServer):
            self._server.dialect.hidden[folder] = self._how
        return self.below(folder)

    def show(self, folder: str) -> None:
        """Let a folder be read again."""
        if isinstance(self._server, NextcloudDouble):
            self._server.files.unreadable.discard(folder)
        elif isinstance(self._server, DialectServer):
            del self._server.dialect.hidden[folder]

    def unreadable(self) -> dict[str, str]:
        """Return what the mirror tells as unreadable."""
        with Journal.read(self.rig.journal) as view:
            found = view.get_fact("target_unreadable") or {}
        assert isinstance(found, dict)
        return {name: str(reason) for name, reason in found.items()}

    def warnings(self) -> list[str]:
        """Return the warnings about what is unreadable since the last start."""
        return [n.text for n in self.rig.seen(Notice) if "cannot be read" in n.text]

    def below(self, folder: str = LOCKED) -> Files:
        """Return what is really at the target below a folder."""
        return {n: c for n, c in self.rig.place.tree().items() if n.startswith(f"{folder}/")}


@pytest.fixture(params=first_of(["a Nextcloud", *WAYS], 2))
def hider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hider]:
    """Return a target in sync, with files of somebody else, on each kind of server."""
    with contextlib.ExitStack() as stack:
        if request.param == "a Nextcloud":
            rig: Rig = request.getfixturevalue("cloud")
            found = Hider(rig, Hiding())
        else:
            server = stack.enter_context(dialect_server())
            rig = Rig(tmp_path, ServerPlace(server))
            found = Hider(rig, WAYS[request.param])
        rig.write(OURS)
        rig.put_foreign(THEIRS)
        rig.sync()
        yield found


def test_an_unreadable_folder_is_left_alone_and_the_rest_goes_on(hider: Hider) -> None:
    rig = hider.rig
    before = hider.hide(LOCKED) | hider.hide(FSCK)
    rig.write({"new.pdf": b"new", "mixed/new.pdf": b"new too", "other/d.pdf": b"changed"})
    rig.path("mixed/b.pdf").unlink()
    rig.once()
    assert hider.unreadable().keys() == {LOCKED, FSCK}
    assert len(hider.warnings()) == 2
    assert sorted(rig.done()) == [
        "created mixed/new.pdf",
        "created new.pdf",
        "deleted mixed/b.pdf",
        "updated other/d.pdf",
    ]
    assert not rig.quarantined()
    assert not [n for n in rig.seen(Notice) if "by others" in n.text]
    assert hider.below() | hider.below(FSCK) == before
    assert rig.known()["mixed/locked/c.pdf"].sure
    rig.once()  # after a restart
    assert hider.warnings() == []
    assert rig.done() == []
    assert hider.unreadable().keys() == {LOCKED, FSCK}


def test_a_first_sync_goes_on_beside_it(hider: Hider) -> None:
    """With a new journal, so that the whole tree is listed at every look."""
    rig = hider.rig
    rig.journal.unlink()
    before = hider.hide(LOCKED) | hider.hide(FSCK)
    rig.write({"new.pdf": b"new"})
    rig.once()
    assert sorted(rig.done()) == [
        "adopted a.pdf",
        "adopted mixed/b.pdf",
        "adopted other/d.pdf",
        "created new.pdf",
    ]
    assert rig.quarantined().keys() == {"mixed/locked/c.pdf"}
    assert not [n for n in rig.seen(Notice) if "by others" in n.text]
    assert hider.unreadable().keys() == {LOCKED, FSCK}
    assert hider.below() | hider.below(FSCK) == before
    hider.show(LOCKED)
    rig.once()
    assert rig.done() == ["adopted mixed/locked/c.pdf"]


def test_what_would_go_into_it_is_its_own_fault_until_it_can_be_read(hider: Hider) -> None:
    rig = hider.rig
    before = hider.hide(LOCKED)
    rig.write({"mixed/locked/new.pdf": b"new", "mixed/locked/deep/e.pdf": b"e", "free.pdf": b"f"})
    rig.path("a.pdf").rename(rig.path("mixed/locked/a.pdf"))
    rig.path("mixed/locked/c.pdf").unlink()
    outcome = rig.once()
    assert rig.done() == ["created free.pdf"]
    waiting = {"a.pdf", *(f"{LOCKED}/{n}" for n in ("a.pdf", "new.pdf", "deep/e.pdf", "c.pdf"))}
    assert rig.quarantined().keys() == waiting
    assert outcome.failed == len(waiting)
    assert all("cannot be read at the target" in reason for reason in rig.quarantined().values())
    assert hider.below() == before
    hider.show(LOCKED)
    rig.sync()
    assert hider.unreadable() == {}
    assert not rig.quarantined()
    assert "deleted mixed/locked/c.pdf" in rig.done()
    assert "moved a.pdf -> mixed/locked/a.pdf" in rig.done()


def test_what_leaves_it_arrives_and_stays_there(hider: Hider) -> None:
    rig = hider.rig
    before = hider.hide(LOCKED)
    rig.path("mixed/locked/c.pdf").rename(rig.path("c.pdf"))
    rig.path("mixed").rename(rig.path("renamed"))
    rig.once()
    assert hider.below() == before
    assert sorted(rig.done()) == ["created c.pdf", "moved mixed/b.pdf -> renamed/b.pdf"]
    assert rig.quarantined().keys() == {"mixed/locked/c.pdf"}
    hider.show(LOCKED)
    rig.sync()
    assert rig.done() == ["deleted mixed/locked/c.pdf"]


def test_it_is_looked_at_again_while_the_mirror_runs(hider: Hider) -> None:
    rig = hider.rig
    rig.options |= {"target_check": 0.05, "scan_interval": 0.2}
    hider.hide(LOCKED)
    with rig.live() as live:
        rig.write({"mixed/locked/new.pdf": b"new", "new.pdf": b"new"})
        live.until(lambda: "mixed/locked/new.pdf" in rig.quarantined(), "it is told")
        live.until(lambda: "new.pdf" in rig.place.tree(), "the rest arrives")
        hider.show(LOCKED)
        live.until(lambda: not rig.difference(), "all is in sync")
    assert len(hider.warnings()) == 1
    assert hider.unreadable() == {}
    assert not [n for n in rig.seen(Notice) if "by others" in n.text]


def test_nothing_below_it_is_deleted_or_replaced_whatever_happens_at_the_source(
    hider: Hider,
) -> None:
    rig = hider.rig
    before = hider.hide(LOCKED)
    rig.write({"mixed/locked/notes.txt": b"ours by now", "mixed/locked/c.pdf": b"changed"})
    rig.once()
    assert hider.below() == before
    rig.path("mixed").rename(rig.path("elsewhere"))
    rig.once()
    assert hider.below() == before
    for name in list(read_tree(rig.source)):
        rig.path(name).unlink()
    rig.write({"only.pdf": b"left"})
    rig.once()
    assert hider.below() == before
    assert rig.place.tree() == before | {"only.pdf": b"left", f"{FSCK}/inode": b"recovered"}
    assert not [e for e in rig.seen(Done) if e.name.startswith(LOCKED)]


def test_a_target_that_may_not_be_read_at_all_is_a_fault(hider: Hider) -> None:
    hider.hide("")
    if hider.rig.to_nextcloud:
        pytest.skip("a Nextcloud lets everybody read their own folder")
    with pytest.raises(StorageError):
        hider.rig.once()
    assert hider.unreadable() == {}


@pytest.mark.parametrize("status", [401, 429, 503])
def test_what_passes_by_itself_is_no_obstacle(tmp_path: Path, status: int) -> None:
    with dialect_server() as server:
        rig = Rig(tmp_path, ServerPlace(server))
        rig.write(OURS)
        rig.sync()
        server.dialect.hidden[LOCKED] = Hiding(member=status)
        with pytest.raises(CredentialsError if status == 401 else StorageError):
            rig.once()
        with Journal.read(rig.journal) as view:
            assert not view.get_fact("target_unreadable")
        assert rig.done() == []


def test_a_delete_that_meets_404_below_what_cannot_be_read_is_none(cloud: Rig) -> None:
    """No check has seen it: a Nextcloud changes no etag when a folder becomes unreadable."""
    cloud.write(OURS)
    cloud.sync()
    assert isinstance(cloud.place, ServerPlace)
    assert isinstance(cloud.place.server, NextcloudDouble)
    with cloud.place.server.unreadable(LOCKED):
        cloud.path("mixed/locked/c.pdf").unlink()
        cloud.once()
        assert cloud.done() == []
        assert "cannot be read" in cloud.quarantined()["mixed/locked/c.pdf"]
    cloud.sync()
    assert cloud.done() == ["deleted mixed/locked/c.pdf"]


def test_a_real_server_without_permission(tmp_path: Path, servers: Servers) -> None:
    """Apache's worker dies of a whole tree with such a folder, and says 403 of the folder."""
    server = servers.get("apache")
    rig = Rig(tmp_path, ServerPlace(server))
    rig.write(OURS)
    rig.put_foreign(THEIRS)
    rig.sync()
    before = rig.place.tree()
    folders = [server.root / LOCKED, server.root / FSCK]
    with without_permission(folders):
        rig.write({"new.pdf": b"new", "mixed/locked/new.pdf": b"new"})
        rig.path("mixed/locked/c.pdf").unlink()
        rig.once()
        assert rig.done() == ["created new.pdf"]
        assert rig.quarantined().keys() == {"mixed/locked/new.pdf", "mixed/locked/c.pdf"}
    assert rig.place.tree() == before | {"new.pdf": b"new"}
    rig.sync()


@contextlib.contextmanager
def without_permission(folders: list[Path]) -> Iterator[None]:
    """Take folders from everybody but root for the length of the block."""
    owners = [folder.stat() for folder in folders]
    for folder in folders:
        os.chown(folder, os.geteuid(), os.getegid())
        folder.chmod(0)
    yield
    for folder, owner in zip(folders, owners, strict=True):
        os.chown(folder, owner.st_uid, owner.st_gid)
        folder.chmod(0o755)
