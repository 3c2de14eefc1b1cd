"""Deletions that look like an accident wait for a person; nothing else does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from paperfleet.mirror.events import Notice, Refused
from paperfleet.mirror.planning.guard import Limits

if TYPE_CHECKING:
    from tests.integration.mirror_kit import Rig

FILES = {
    f"{'left' if n % 4 < 2 else 'right'}/{n % 4}/{n}.pdf": b"content %d" % n for n in range(60)
}


@pytest.fixture
def guarded(cloud: Rig) -> Rig:
    """Return a mirror that has 60 files and lets at most 15 of them be deleted in an hour."""
    cloud.options["limits"] = Limits(share=0.25, floor=5)
    cloud.write(FILES)
    cloud.sync()
    return cloud


@pytest.fixture
def disk(disk: Rig) -> Rig:
    """Return a mirror to a folder with the usual limits."""
    disk.options["limits"] = Limits()
    return disk


def delete(rig: Rig, folder: str) -> None:
    """Let a whole folder vanish at once."""
    rig.path(folder).rename(rig.source.with_name(f"away {folder.replace('/', ' ')}"))


def test_much_at_once_is_refused_and_sends_go_on(guarded: Rig) -> None:
    with guarded.live() as live:
        live.until_same()
        delete(guarded, "left")
        refused = live.until_event(Refused)
        guarded.write({"new.pdf": b"new", "right/2/2.pdf": b"changed"})
        guarded.path("right/3/3.pdf").rename(guarded.path("moved.pdf"))
        live.until(lambda: guarded.place.tree().get("new.pdf") == b"new", "sends go on")
        live.until(lambda: "moved.pdf" in guarded.place.tree(), "moves go on")
    assert len(refused.names) == 30
    assert "30 of 60 files" in refused.reason
    assert guarded.counts()["deleted"] == 0
    assert len(guarded.refused()) == 30


def test_approved_it_runs_once(guarded: Rig) -> None:
    with guarded.live() as live:
        live.until_same()
        delete(guarded, "left")
        live.until_event(Refused)
        assert guarded.approve() == 30
        live.until_same()
        assert guarded.refused() == {}
        delete(guarded, "right/2")
        live.until(lambda: len(guarded.seen(Refused)) == 2, "the next is refused again")
    assert len(guarded.refused()) == 15


def test_after_an_approval_single_deletes_go_on(guarded: Rig) -> None:
    delete(guarded, "left")
    guarded.once()
    guarded.approve()
    guarded.sync()
    for name in ("right/2/2.pdf", "right/3/3.pdf"):
        guarded.path(name).unlink()
        guarded.sync()
        assert guarded.counts() == {"deleted": 1}
    delete(guarded, "right/2")
    assert guarded.once().refused == 14


def test_refused_while_stopped_and_approved_while_stopped(guarded: Rig) -> None:
    delete(guarded, "left")
    outcome = guarded.once()
    assert outcome.refused == 30
    outcome = guarded.once()
    assert outcome.refused == 30
    assert guarded.approve() == 30
    outcome = guarded.sync()
    assert outcome.refused == 0
    assert guarded.counts() == {"deleted": 30}


def test_more_that_is_deleted_after_the_approval_is_asked_again(guarded: Rig) -> None:
    delete(guarded, "left")
    guarded.once()
    guarded.approve()
    delete(guarded, "right")
    assert guarded.once().refused == 30
    assert guarded.counts() == {"deleted": 30}


def test_what_comes_back_is_no_longer_held_back(guarded: Rig) -> None:
    with guarded.live() as live:
        live.until_same()
        delete(guarded, "left")
        live.until_event(Refused)
        guarded.source.with_name("away left").rename(guarded.path("left"))
        live.until(lambda: not guarded.refused(), "nothing is held back")
        live.until_same()
    assert guarded.counts()["created"] == 0
    assert guarded.counts()["deleted"] == 0


def test_a_trickle_counts_within_the_hour(guarded: Rig) -> None:
    with guarded.live() as live:
        live.until_same()
        for n in range(30):
            guarded.path(list(FILES)[n]).unlink()
            if n % 3 == 0:
                time.sleep(0.06)
        live.until_event(Refused)
        live.until(lambda: len(guarded.refused()) + guarded.counts()["deleted"] == 30, "all seen")
    assert guarded.counts()["deleted"] <= 15


def test_a_trickle_to_a_slow_server(guarded: Rig) -> None:
    """What is being deleted counts too, not only what is done."""
    for name in FILES:
        guarded.slow("DELETE", name, 0.5)
    with guarded.live() as live:
        live.until_same()
        for n in range(32):
            guarded.path(list(FILES)[n]).unlink()
            if n % 4 == 3:
                time.sleep(0.12)
        live.until(lambda: len(guarded.refused()) + guarded.counts()["deleted"] == 32, "all seen")
    assert guarded.counts()["deleted"] <= 15


def test_the_hour_passes(guarded: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    delete(guarded, "left/0")
    guarded.sync()
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() + 3700)
    guarded.path("left/1/1.pdf").unlink()
    guarded.sync()
    assert guarded.counts() == {"deleted": 1}


def test_approved_while_the_server_is_away(guarded: Rig) -> None:
    """An approval is not used up by a server that fails meanwhile."""
    delete(guarded, "left")
    guarded.once()
    guarded.approve()
    guarded.cut("DELETE", "left/1/29.pdf")
    guarded.sync()
    assert guarded.refused() == {}


def test_moves_are_no_deletions(guarded: Rig) -> None:
    guarded.path("left").rename(guarded.path("renamed"))
    for n in range(2, 60, 4):
        guarded.path(f"right/2/{n}.pdf").rename(guarded.path(f"{n}.pdf"))
    assert guarded.sync().refused == 0


def test_a_file_stands_where_refused_files_are(guarded: Rig) -> None:
    delete(guarded, "left")
    guarded.write({"left": b"a file where a folder was"})
    guarded.once()
    assert len(guarded.refused()) == 30
    assert "waits for approval" in guarded.quarantined()["left"]
    guarded.approve()
    with guarded.live() as live:
        live.until_same()
    assert guarded.quarantined() == {}


def test_an_empty_source_at_the_start(guarded: Rig) -> None:
    delete(guarded, "left")
    delete(guarded, "right")
    assert guarded.once().refused == 60
    assert set(guarded.refused().values()) == {"the source is empty"}
    guarded.approve()
    guarded.sync()


def test_most_of_few_files_wait_too(disk: Rig) -> None:
    disk.write({"a": b"1", "b": b"2", "c": b"3", "d": b"4"})
    disk.sync()
    disk.path("a").unlink()
    disk.path("b").unlink()
    disk.sync()
    disk.path("c").unlink()
    assert disk.once().refused == 1
    assert "3 of 4 files" in disk.refused()["c"]
    disk.approve()
    disk.sync()


DOCUMENTS = {f"{n % 4}/{n}.pdf": b"document %d" % n for n in range(300)}


def test_files_that_become_empty_wait(disk: Rig) -> None:
    """Of a full disk or a bad script nothing reaches a target that keeps no versions."""
    disk.write(DOCUMENTS)
    disk.sync()
    disk.write(dict.fromkeys(DOCUMENTS, b"") | {"new.pdf": b"new"})
    assert disk.once().refused == len(DOCUMENTS)
    assert disk.place.tree() == DOCUMENTS | {"new.pdf": b"new"}
    assert "would be emptied" in disk.refused()["0/0.pdf"]
    disk.write({"0/0.pdf": DOCUMENTS["0/0.pdf"]})
    assert disk.once().refused == len(DOCUMENTS) - 1, "what is restored waits no longer"
    disk.approve()
    disk.sync()
    assert disk.counts() == {"updated": len(DOCUMENTS) - 1}


def test_files_that_become_empty_while_it_runs_wait(disk: Rig) -> None:
    disk.write(DOCUMENTS)
    with disk.live() as live:
        live.until_same()
        for name in DOCUMENTS:
            disk.path(name).write_bytes(b"")
        live.until(
            lambda: len(disk.refused()) + disk.counts()["updated"] == len(DOCUMENTS), "all seen"
        )
        disk.write({"new.pdf": b"new"})
        live.until(lambda: disk.place.tree().get("new.pdf") == b"new", "new files go on")
        assert disk.counts()["updated"] <= len(DOCUMENTS) // 4
        assert disk.approve() == len(disk.refused())
        live.until_same()


def test_most_files_overwritten_with_as_many_bytes_wait(disk: Rig) -> None:
    """Ransomware keeps sizes: all is read before one is sent."""
    disk.write(DOCUMENTS)
    disk.sync()
    disk.write({name: content[::-1] for name, content in DOCUMENTS.items()})
    assert disk.once().refused == len(DOCUMENTS)
    assert disk.place.tree() == DOCUMENTS


def test_touched_files_are_no_overwrites(disk: Rig) -> None:
    disk.write(DOCUMENTS)
    disk.sync()
    disk.write(DOCUMENTS | {"0/0.pdf": b"edited"})
    disk.sync()
    assert disk.counts() == {"updated": 1}


def test_a_target_that_keeps_versions_gets_them_and_it_is_said(cloud: Rig) -> None:
    few = dict(list(DOCUMENTS.items())[:30])
    cloud.options["limits"] = Limits()
    cloud.write(few)
    cloud.sync()
    cloud.write(dict.fromkeys(few, b""))
    assert cloud.sync().refused == 0
    assert ["30 of 30 files would be emptied" in n.text for n in cloud.seen(Notice)] == [True]
