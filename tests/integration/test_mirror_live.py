"""Changes while the mirror runs, seen by inotify: all of them arrive, nothing else does."""

from __future__ import annotations

import os
import shutil
import socket
import time
from contextlib import chdir
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_places import remove, write_file
from tests.wide import QUICK, WIDE

from paperfleet.mirror.events import Notice
from paperfleet.mirror.planning.guard import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.mirror_kit import Rig

START = {
    "a.pdf": b"a",
    "b.pdf": b"b",
    "folder/c.pdf": b"c",
    "folder/d.pdf": b"d",
    "folder/deep/e.pdf": b"e",
    "other/f.pdf": b"f",
}


def create(rig: Rig) -> None:
    rig.write({"new.pdf": b"new", "new folder/in it/new.pdf": b"new too"})


def overwrite(rig: Rig) -> None:
    rig.write({"a.pdf": b"another content", "folder/c.pdf": b"C"})


def delete(rig: Rig) -> None:
    rig.path("a.pdf").unlink()
    rig.path("other/f.pdf").unlink()


def rename(rig: Rig) -> None:
    rig.path("a.pdf").rename(rig.path("z.pdf"))


def move_across(rig: Rig) -> None:
    rig.path("a.pdf").rename(rig.path("other/a.pdf"))
    rig.path("folder/c.pdf").rename(rig.path("c.pdf"))


def many_in_a_new_folder(rig: Rig) -> None:
    rig.write({f"fresh/{n % 5}/file {n}": b"%d" % n for n in range(200)})


def rename_folder(rig: Rig) -> None:
    rig.path("folder").rename(rig.path("renamed"))


def move_folder(rig: Rig) -> None:
    rig.path("folder").rename(rig.path("other/folder"))


def folder_out(rig: Rig) -> None:
    rig.path("folder").rename(rig.source.parent / "outside")


def folder_in(rig: Rig) -> None:
    outside = rig.source.parent / "outside"
    write_file(outside / "x/y.pdf", b"y")
    write_file(outside / "z.pdf", b"z")
    outside.rename(rig.path("inside"))


def delete_folder(rig: Rig) -> None:
    shutil.rmtree(rig.path("folder"))


def by_temporary_file(rig: Rig) -> None:
    for name in ("a.pdf", "fresh.pdf"):
        rig.write({f"{name}.tmp": b"written aside, then renamed"})
        rig.path(f"{name}.tmp").rename(rig.path(name))


def file_becomes_folder(rig: Rig) -> None:
    rig.path("a.pdf").unlink()
    rig.write({"a.pdf/inner.pdf": b"inside what was a file", "a.pdf/deep/er.pdf": b"deeper"})


def folder_becomes_file(rig: Rig) -> None:
    shutil.rmtree(rig.path("folder"))
    rig.write({"folder": b"a file now"})


def replaced_by_another(rig: Rig) -> None:
    rig.path("b.pdf").replace(rig.path("a.pdf"))


def there_and_gone(rig: Rig) -> None:
    rig.write({"short lived": b"x"})
    rig.path("short lived").unlink()
    rig.write({"stays": b"y"})


def hard_link(rig: Rig) -> None:
    rig.path("linked.pdf").hardlink_to(rig.path("a.pdf"))


def emptied(rig: Rig) -> None:
    rig.path("a.pdf").write_bytes(b"")


EDITS: list[Callable[[Rig], None]] = [
    create,
    overwrite,
    delete,
    rename,
    move_across,
    many_in_a_new_folder,
    rename_folder,
    move_folder,
    folder_out,
    folder_in,
    delete_folder,
    by_temporary_file,
    file_becomes_folder,
    folder_becomes_file,
    replaced_by_another,
    there_and_gone,
    hard_link,
    emptied,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_a_change_arrives(rig: Rig, edit: Callable[[Rig], None]) -> None:
    rig.write(START)
    rig.put_foreign({"other/theirs.txt": b"somebody else's", "theirs.txt": b"theirs"})
    if edit is not folder_becomes_file:
        rig.put_foreign({"folder/theirs.txt": b"in a folder of ours"})
    with rig.live() as live:
        live.until_same()
        edit(rig)
        live.until_same()
    assert rig.quarantined() == {}
    rig.sync()
    assert rig.done() == []


@WIDE
def test_one_change_after_the_other(slow_rig: Rig) -> None:
    slow_rig.options["limits"] = Limits(share=1.0)
    slow_rig.put_foreign({"other/theirs.txt": b"somebody else's", "folder/theirs.txt": b"theirs"})
    with slow_rig.live() as live:
        for edit in EDITS:
            if edit is folder_becomes_file:
                continue  # theirs is in the way
            if edit is file_becomes_folder and slow_rig.place.kind == "nginx":
                continue  # the folder stays there, in the way of the next first file
            start_over(slow_rig)
            live.until_same()
            edit(slow_rig)
            live.until_same()
    assert slow_rig.quarantined() == {}
    slow_rig.sync()
    assert slow_rig.done() == []


def start_over(rig: Rig) -> None:
    """Give the source its first files again, and nothing else."""
    for entry in list(rig.source.iterdir()):
        remove(entry)
    outside = rig.source.parent / "outside"
    if outside.exists():
        remove(outside)
    rig.write(START)


def test_a_file_becomes_a_folder_and_a_file_again(rig: Rig) -> None:
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        live.edit(lambda: file_becomes_folder(rig))
        remove(rig.path("a.pdf"))
        live.edit(lambda: rig.write({"a.pdf": b"a file again"}))


def test_somebody_elses_file_stands_where_a_folder_becomes_a_file(rig: Rig) -> None:
    rig.write(START)
    rig.put_foreign({"folder/theirs.txt": b"theirs"})
    with rig.live() as live:
        live.until_same()
        folder_becomes_file(rig)
        if not rig.place.side_by_side:
            rig.absent = {"folder"}
            live.until(lambda: "folder" in rig.quarantined(), "it is told")
        live.until_same()
        rig.place.delete("folder")
        rig.foreign.clear()
        rig.absent = set()
        live.until_same()


def test_a_burst_of_changes(disk: Rig) -> None:
    burst(disk, 300 if QUICK else 1000)


def test_a_burst_of_changes_on_a_server(cloud: Rig) -> None:
    burst(cloud, 300)


def burst(rig: Rig, count: int) -> None:
    files = {f"{n % 9}/document {n}": b"first %d" % n for n in range(count // 2)}
    rig.write(files)
    rig.options["connections"] = 8
    with rig.live() as live:
        live.until_same()
        for n, name in enumerate(files):
            if n % 4 == 0:
                rig.path(name).write_bytes(b"second, longer %d" % n)
            elif n % 4 == 1:
                rig.path(name).rename(rig.path(f"{name} renamed"))
            elif n % 8 == 2:
                rig.path(name).unlink()
            rig.write({f"new {n % 3}/{n}": b"new %d" % n})
        live.until_same()


def test_changed_again_while_it_is_sent(rig: Rig) -> None:
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        method = rig.sending_method()
        with rig.tap.held(method, "slow.pdf") as hold:
            rig.write({"slow.pdf": b"first content"})
            live.until(hold.reached.is_set, "the upload began")
            rig.write({"slow.pdf": b"second content", "other.pdf": b"not blocked"})
            live.until(lambda: "other.pdf" in rig.place.tree(), "the other file arrived")
        live.until_same()
    assert rig.quarantined() == {}


def test_renamed_while_it_is_sent(rig: Rig) -> None:
    with rig.live() as live:
        with rig.tap.held(rig.sending_method(), "slow.pdf") as hold:
            rig.write({"slow.pdf": b"content"})
            live.until(hold.reached.is_set, "the upload began")
            rig.path("slow.pdf").rename(rig.path("renamed.pdf"))
        live.until_same()
    assert rig.quarantined() == {}


def test_deleted_while_it_is_sent(rig: Rig) -> None:
    with rig.live() as live:
        with rig.tap.held(rig.sending_method(), "slow.pdf") as hold:
            rig.write({"slow.pdf": b"content"})
            live.until(hold.reached.is_set, "the upload began")
            rig.path("slow.pdf").unlink()
        live.until(lambda: not rig.difference(), "agreement")
    assert rig.quarantined() == {}


def test_a_file_is_not_sent_before_it_is_closed(disk: Rig) -> None:
    disk.options["open_settle"] = 30.0
    with disk.live() as live:
        with disk.path("growing.pdf").open("wb") as stream:
            for n in range(10):
                stream.write(b"part %d" % n)
                stream.flush()
                time.sleep(0.03)
            live.edit_elsewhere()
            assert "growing.pdf" not in disk.tap.sent
        live.until_same()
    assert disk.tap.sent.count("growing.pdf") == 1


def test_a_file_that_is_never_closed_is_sent_when_it_is_still(disk: Rig) -> None:
    with disk.live() as live, disk.path("log.txt").open("wb") as stream:
        stream.write(b"one line")
        stream.flush()
        live.until_same()
        stream.write(b", another line")
        stream.flush()
        live.until_same()


def test_only_the_time_or_the_rights_change(rig: Rig) -> None:
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        sent = len(rig.tap.sent)
        os.utime(rig.path("a.pdf"), (1, 1))
        rig.path("b.pdf").chmod(0o600)
        live.until(lambda: rig.known()["a.pdf"].modified_ns == 10**9, "the new time was noted")
        live.until_same()
        assert len(rig.tap.sent) == sent


def test_symbolic_links_are_not_followed(disk: Rig) -> None:
    disk.write(START)
    write_file(disk.source.parent / "secret" / "passwd", b"never to be seen")
    with disk.live() as live:
        live.until_same()
        disk.path("link to file").symlink_to("a.pdf")
        disk.path("link to folder").symlink_to("folder")
        disk.path("link out").symlink_to(disk.source.parent / "secret")
        disk.path("link to nothing").symlink_to("nowhere")
        live.until(lambda: len(disk.quarantined()) == 4, "all links were told")
        live.until_same()
        assert all("link" in reason for reason in disk.quarantined().values())
        disk.path("link to file").unlink()
        live.until(lambda: len(disk.quarantined()) == 3, "a removed link is forgotten")


def test_links_inside_the_source_are_followed_where_that_is_wanted(disk: Rig) -> None:
    disk.follow_links = True
    disk.write(START)
    write_file(disk.source.parent / "secret" / "passwd", b"never to be seen")
    with disk.live() as live:
        live.until_same()
        disk.path("link").symlink_to("folder")
        disk.path("link out").symlink_to(disk.source.parent / "secret")
        expected = {"link/c.pdf": b"c", "link/d.pdf": b"d", "link/deep/e.pdf": b"e"}
        live.until(lambda: expected.items() <= disk.place.tree().items(), "the linked folder")
        disk.path("folder/c.pdf").write_bytes(b"C, changed")
        live.until(lambda: disk.place.tree().get("link/c.pdf") == b"C, changed", "through the link")
        disk.path("link/new.pdf").write_bytes(b"new")
        live.until(lambda: disk.place.tree().get("folder/new.pdf") == b"new", "the real name")
        live.until(lambda: disk.place.tree().get("link/new.pdf") == b"new", "the linked name")
        assert list(disk.quarantined()) == ["link out"]
    assert b"never to be seen" not in disk.place.tree().values()


def test_pipes_and_sockets_are_told_and_left_out(disk: Rig) -> None:
    disk.write(START)
    with disk.live() as live, socket.socket(socket.AF_UNIX) as made:
        live.until_same()
        os.mkfifo(disk.path("pipe"))
        with chdir(disk.source):  # the path of a socket has to be short
            made.bind("socket")
        live.until(lambda: disk.quarantined().keys() == {"pipe", "socket"}, "both were told")
        live.until_same()
        disk.path("pipe").unlink()
        disk.path("socket").unlink()
        live.until(lambda: not disk.quarantined(), "both are forgotten")


def test_the_source_goes_away_and_comes_back(disk: Rig) -> None:
    disk.write(START)
    away = disk.source.parent / "away"
    with disk.live() as live:
        live.until_same()
        before = disk.place.tree()
        disk.source.rename(away)
        live.until_event(Notice, lambda notice: notice.level == "error")
        assert disk.place.tree() == before
        away.rename(disk.source)
        disk.write({"afterwards.pdf": b"x"})
        live.until_same()
    assert disk.counts()["deleted"] == 0


def test_an_empty_folder_takes_the_place_of_the_source(disk: Rig) -> None:
    disk.write(START)
    with disk.live() as live:
        live.until_same()
        disk.source.rename(disk.source.parent / "away")
        disk.source.mkdir()
        live.until(lambda: len(disk.refused()) == len(START), "all deletes are held back")
        assert set(disk.refused().values()) == {"the source is empty"}
    assert disk.place.tree().keys() == START.keys()


def test_another_filesystem_takes_the_place_of_the_source(
    disk: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.write(START)
    monkeypatch.setattr(disk.disk, "filesystem", lambda: "one")
    disk.sync()
    monkeypatch.setattr(disk.disk, "filesystem", lambda: "another")
    disk.path("a.pdf").unlink()
    disk.write({"new.pdf": b"x"})
    disk.once()
    assert list(disk.refused().values()) == ["the source lies on another filesystem than before"]
    assert disk.place.tree()["new.pdf"] == b"x"
    disk.approve()
    disk.sync()
    disk.path("b.pdf").unlink()
    disk.sync()


def test_polling_finds_the_same(disk: Rig) -> None:
    disk.poll_seconds = 0.1
    disk.write(START)
    with disk.live() as live:
        live.until_same()
        for edit in (overwrite, rename, folder_in, delete_folder):
            edit(disk)
            live.until_same()
