"""Sends of which nobody saw the end: looked at together, and a rename of them stays a rename."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import Files, ServerPlace
from tests.servers.nextcloud_double import NextcloudDouble

from paperfleet.journal.journal import Journal
from paperfleet.mirror.events import Notice
from paperfleet.model import Put
from paperfleet.storage.local.backend import LocalBackend

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Servers

COUNT = 120


@pytest.fixture
def server(cloud: Rig) -> NextcloudDouble:
    """Return the double behind ``cloud``."""
    assert isinstance(cloud.place, ServerPlace)
    assert isinstance(cloud.place.server, NextcloudDouble)
    return cloud.place.server


def killed(rig: Rig, arrived: Files, begun: Files) -> None:
    """Leave what a kill -9 in the middle of sends leaves: these had begun, those arrived."""
    source = LocalBackend(rig.source, read_only=True)
    labels = source.label, rig.tap.label
    with source, Journal.open(rig.journal, source=labels[0], target=labels[1]) as journal:
        puts = [
            Put(
                source.stat(name)._replace(sha256=hashlib.sha256(content).hexdigest()),
                name,
                "created",
            )
            for name, content in begun.items()
        ]
        journal.start(journal.record(puts))
    for name, content in arrived.items():
        rig.place.write(name, content)


def test_what_arrived_is_ours_whatever_was_begun_after_it(disk: Rig) -> None:
    """An answer that was lost, another version that never arrived, then it is deleted."""
    disk.write({"a.pdf": b"first", "keep.pdf": b"keep"})
    disk.sync()
    disk.write({"a.pdf": b"second!"})
    killed(disk, {"a.pdf": b"second!"}, {"a.pdf": b"second!"})
    disk.write({"a.pdf": b"third one"})
    disk.tap.fail("save_with", "a.pdf", times=None)
    assert disk.once().failed == 1
    disk.tap.heal()
    disk.path("a.pdf").unlink()
    disk.sync()
    assert disk.done() == ["deleted a.pdf"]


@pytest.mark.parametrize("kind", ["cloud", "disk"])
def test_renames_of_what_is_in_doubt_are_moves(kind: str, request: pytest.FixtureRequest) -> None:
    rig: Rig = request.getfixturevalue(kind)
    files = {f"old/{n}.pdf": f"content {n:03}".encode() for n in range(COUNT)}
    arrived = dict(list(files.items())[::3])
    rig.write(files)
    killed(rig, arrived, files)
    rig.path("old").rename(rig.path("new"))
    rig.sync()
    assert rig.counts() == {"moved": len(arrived), "created": COUNT - len(arrived)}


@pytest.mark.parametrize("kind", ["cloud", "disk"])
def test_renames_of_overwrites_in_doubt_are_moves(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """What was being written has another size than what the journal knows of the name."""
    rig: Rig = request.getfixturevalue(kind)
    rig.write({f"old/{n}.pdf": b"short" for n in range(4)} | {"stays.pdf": b"stays"})
    rig.sync()
    changed = {f"old/{n}.pdf": f"much longer content {n}".encode() for n in range(4)}
    arrived = dict(list(changed.items())[:3])
    for name in changed:
        rig.path(name).unlink()  # another inode: a program writes beside it and renames
    rig.write(changed)
    killed(rig, arrived, changed)
    rig.path("old").rename(rig.path("new"))
    rig.path("new/0.pdf").rename(rig.path("another name.pdf"))
    rig.write({"unrelated.pdf": b"new"})
    rig.sync()
    assert rig.counts() == {"moved": 3, "created": 2, "deleted": 1}


def test_what_is_in_doubt_goes_in_batches(cloud: Rig, server: NextcloudDouble) -> None:
    files = {f"f{n % 5}/{n}.pdf": f"content {n}".encode() for n in range(2 * COUNT)}
    begun = dict(list(files.items())[:COUNT])
    arrived = dict(list(begun.items())[::3])
    cloud.write(files)
    killed(cloud, arrived, begun)
    cloud.sync()
    assert not [n.text for n in cloud.seen(Notice) if "by others" in n.text]
    assert cloud.counts() == {"adopted": len(arrived), "created": len(files) - len(arrived)}
    # Bytes that arrived are read; what did not arrive needs no look and no PUT of its own.
    assert server.requests.count("PUT") == 0
    looks = sum(server.requests.count(method) for method in ("HEAD", "GET", "PROPFIND", "PATCH"))
    assert looks < 2 * len(arrived) + 30


def test_doubts_beside_a_known_tree_are_looked_at_by_folder(
    cloud: Rig, server: NextcloudDouble
) -> None:
    cloud.write({"seed.pdf": b"x"})
    cloud.sync()
    cloud.sync()
    files = {f"f{n % 3}/{n}.pdf": f"content {n}".encode() for n in range(COUNT)}
    cloud.write(files)
    killed(cloud, {}, files)
    server.requests.clear()
    cloud.sync()
    assert server.requests.count("PUT") == 0
    assert sum(server.requests.count(method) for method in ("HEAD", "PROPFIND", "PATCH")) < 30


@pytest.mark.parametrize("kind", ["cloud", "disk"])
def test_a_folder_made_ahead_makes_way_for_a_file(
    kind: str, request: pytest.FixtureRequest
) -> None:
    rig: Rig = request.getfixturevalue(kind)
    files = {f"name/deep/{n}.pdf": f"content {n}".encode() for n in range(3)}
    rig.write(files)
    rig.once()
    for name in files:
        rig.place.delete(name)
    for path in rig.journal.parent.iterdir():
        path.unlink()
    killed(rig, {}, files)
    assert "name/deep" in (rig.place.folders() or set())
    shutil.rmtree(rig.path("name"))
    rig.write({"name": b"a file now"})
    assert rig.once().failed == 0
    rig.check()


@pytest.fixture
def plain(tmp_path: Path, servers: Servers, quick: None) -> Rig:  # noqa: ARG001
    """Return a mirror to a plain WebDAV server."""
    return Rig(tmp_path, ServerPlace(servers.get("wsgidav")))


@pytest.mark.parametrize("kind", ["cloud", "disk", "plain"])
def test_what_is_in_the_way_is_named(kind: str, request: pytest.FixtureRequest) -> None:
    rig: Rig = request.getfixturevalue(kind)
    rig.put_foreign({"theirs.pdf/note.txt": b"theirs", "theirs": b"theirs", "other.pdf/x": b"x"})
    rig.write({"theirs.pdf": b"ours", "theirs/ours.pdf": b"ours too", "moved.pdf": b"moved"})
    rig.once()
    rig.path("moved.pdf").rename(rig.path("other.pdf"))
    rig.once()
    reasons = rig.quarantined()
    assert reasons.keys() == {"theirs.pdf", "theirs/ours.pdf", "moved.pdf", "other.pdf"}
    assert "a folder 'theirs.pdf' at the target stands where" in reasons["theirs.pdf"]
    assert "the file 'theirs' at the target stands where" in reasons["theirs/ours.pdf"]
    assert "a folder 'other.pdf' at the target stands where" in reasons["other.pdf"]
    assert rig.foreign.items() <= rig.place.tree().items()
