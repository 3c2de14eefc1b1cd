"""Inotify hints at every change of a real folder, and survives what a host does to it."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from paperfleet.mirror.watch.changes import EVERYTHING, SOMEWHERE, Changes, Hint

pytest.importorskip("inotify_simple", reason="inotify is Linux alone")

import inotify_simple

from paperfleet.mirror.watch import inotify as watch_inotify
from paperfleet.mirror.watch import limits as watch_limits
from paperfleet.mirror.watch.inotify import InotifyWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.mirror.watch.tree import WatchedFolder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def watcher(root: Path, notices: list[str]) -> Iterator[InotifyWatcher]:
    with InotifyWatcher(root, on_notice=notices.append, fallback_seconds=0.1) as running:
        yield running


def hints(watcher: InotifyWatcher, seconds: float = 0.02) -> list[Hint]:
    """Return all that is said until it is quiet for so long.

    The kernel queues an event before the call that caused it returns: there is nothing to wait for.
    """
    found: list[Hint] = []
    while new := watcher.wait(seconds):
        found += new
    return found


def last(found: list[Hint], name: str) -> Hint:
    return [hint for hint in found if hint.name == name][-1]


def names(found: list[Hint]) -> set[str]:
    return {hint.name for hint in found}


def wait_for(watcher: InotifyWatcher, wanted: Callable[[Hint], bool], seconds: float = 20) -> Hint:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for hint in watcher.wait(0.2):
            if wanted(hint):
                return hint
    raise AssertionError("the hint did not come")


class TestFiles:
    def test_a_new_file_is_open_until_it_is_closed(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        with (root / "a").open("wb", buffering=0) as file:
            assert hints(watcher) == [Hint("a", open=True)]
            file.write(b"x")
            time.sleep(0.6)
            assert set(hints(watcher)) == {Hint("a", open=True)}
        assert hints(watcher) == [Hint("a")]

    def test_a_time_set_while_it_is_written_does_not_close_it(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        with (root / "a").open("wb", buffering=0) as file:
            file.write(b"x")
            os.utime(file.fileno(), (1, 1))
            assert last(hints(watcher), "a").open
        assert not last(hints(watcher), "a").open

    def test_a_time_set_by_itself_is_a_hint(self, root: Path, watcher: InotifyWatcher) -> None:
        (root / "a").touch()
        hints(watcher)
        os.utime(root / "a", (1, 1))
        assert hints(watcher) == [Hint("a")]

    def test_deletion(self, root: Path, watcher: InotifyWatcher) -> None:
        (root / "a").touch()
        hints(watcher)
        (root / "a").unlink()
        assert hints(watcher) == [Hint("a")]

    def test_what_is_complete_when_it_appears_is_not_open(
        self, root: Path, tmp_path: Path, watcher: InotifyWatcher
    ) -> None:
        (tmp_path / "elsewhere").write_text("x")
        os.link(tmp_path / "elsewhere", root / "hard")
        (root / "soft").symlink_to(tmp_path / "elsewhere")
        os.mkfifo(root / "pipe")
        found = hints(watcher)
        assert names(found) == {"hard", "soft", "pipe"}
        assert not any(hint.open for hint in found)

    def test_halves_of_a_rename_know_each_other(self, root: Path, watcher: InotifyWatcher) -> None:
        (root / "a").touch()
        (root / "below").mkdir()
        hints(watcher)
        (root / "a").rename(root / "below" / "b")
        found = hints(watcher)
        assert last(found, "a") == Hint("a", partner="below/b")
        assert last(found, "below/b") == Hint("below/b", partner="a")

    def test_a_file_renamed_while_it_is_written_stays_open(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        with (root / "a").open("wb", buffering=0):
            hints(watcher)
            (root / "a").rename(root / "b")
            assert last(hints(watcher), "b") == Hint("b", open=True, partner="a")
        assert hints(watcher) == [Hint("b")]

    def test_renamed_out_and_in(self, root: Path, tmp_path: Path, watcher: InotifyWatcher) -> None:
        (root / "a").touch()
        hints(watcher)
        (root / "a").rename(tmp_path / "outside")
        assert hints(watcher) == [Hint("a", partner=SOMEWHERE)]
        (tmp_path / "outside").rename(root / "b")
        assert hints(watcher) == [Hint("b")]

    def test_write_to_temporary_then_rename(self, root: Path, watcher: InotifyWatcher) -> None:
        (root / "a").write_text("old")
        hints(watcher)
        (root / "a.tmp").write_text("new")
        (root / "a.tmp").rename(root / "a")
        assert last(hints(watcher), "a") == Hint("a", partner="a.tmp")

    def test_our_own_temporary_files_are_none_of_our_business(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        (root / ".paperfleet-1").write_text("x")
        (root / ".paperfleet-dir").mkdir()
        (root / ".paperfleet-dir" / "x").touch()
        assert hints(watcher) == []
        (root / ".paperfleet-1").rename(root / "a")
        assert hints(watcher) == [Hint("a")]

    def test_a_busy_writer_is_mentioned_now_and_then_and_in_the_end(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        with (root / "a").open("wb", buffering=0) as file:
            hints(watcher)
            deadline = time.monotonic() + 1.2
            found = []
            while time.monotonic() < deadline:
                file.write(b"x")
                found += watcher.wait(0.001)
            assert 1 <= len(found) <= 4
            found = hints(watcher, 0.7)
            assert found, "the last write was not mentioned yet"
            assert all(hint == Hint("a", open=True) for hint in found)

    @pytest.mark.parametrize(
        "name", ["new\nline", "back\\slash", "tab\t", "trailing ", "ü", "u\u0308", "x" * 255]
    )
    def test_names(self, root: Path, watcher: InotifyWatcher, name: str) -> None:
        (root / name).touch()
        assert names(hints(watcher)) == {name}

    def test_a_name_that_is_not_utf8(self, root: Path, watcher: InotifyWatcher) -> None:
        name = os.fsdecode(b"\xff.pdf")
        (root / name).touch()
        (root / os.fsdecode(b"\xfe")).mkdir()
        (root / os.fsdecode(b"\xfe") / "x").touch()
        assert {name, os.fsdecode(b"\xfe")} <= names(hints(watcher))


class TestHardLinks:
    @pytest.fixture
    def linked(self, root: Path, watcher: InotifyWatcher) -> Path:
        (root / "a").write_text("x")
        (root / "deep" / "er").mkdir(parents=True)
        os.link(root / "a", root / "b")
        os.link(root / "a", root / "deep" / "er" / "c")
        os.link(root / "a", root / ".paperfleet-1")
        hints(watcher)
        return root

    def test_a_change_under_one_name_is_a_hint_at_the_others(
        self, linked: Path, watcher: InotifyWatcher
    ) -> None:
        (linked / "b").write_text("y")
        assert names(hints(watcher, 1.2)) == {"a", "b", "deep/er/c"}

    def test_the_others_stay_open_as_long(self, linked: Path, watcher: InotifyWatcher) -> None:
        with (linked / "b").open("wb", buffering=0) as file:
            file.write(b"x")
            assert last(hints(watcher, 1.2), "deep/er/c").open
        assert not last(hints(watcher, 1.2), "deep/er/c").open

    def test_changed_and_renamed_at_once(self, linked: Path, watcher: InotifyWatcher) -> None:
        (linked / "b").write_text("y")
        (linked / "b").rename(linked / "d")
        assert names(hints(watcher, 1.2)) == {"a", "b", "d", "deep/er/c"}

    def test_many_changes_cost_few_searches(
        self, linked: Path, watcher: InotifyWatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert watcher._watch is not None
        tree = watcher._watch.tree
        searches = 0

        def folders() -> Iterator[WatchedFolder]:
            nonlocal searches
            searches += 1
            return tree.root.walk()

        monkeypatch.setattr(tree, "folders", folders)
        found = []
        started = time.monotonic()
        for number in range(50):
            (linked / "b").write_text(str(number))
            found += watcher.wait(0.01)
        found += hints(watcher, 1.2)
        assert last(found, "a") == Hint("a")
        assert 1 <= searches <= 2 + time.monotonic() - started


class TestFolders:
    def test_all_that_is_made_in_a_new_folder_is_covered_by_its_hint(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        for number in range(200):
            folder = root / f"new{number}" / "a" / "b"
            folder.mkdir(parents=True)
            (folder / "x").touch()
        assert {f"new{number}" for number in range(200)} <= names(hints(watcher))
        (root / "new7" / "a" / "b" / "y").touch()
        assert names(hints(watcher)) == {"new7/a/b/y"}

    def test_a_renamed_folder_is_watched_under_its_new_name(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        (root / "old" / "deep" / "er").mkdir(parents=True)
        hints(watcher)
        (root / "old").rename(root / "new")
        found = hints(watcher)
        assert last(found, "old").partner == "new"
        assert last(found, "new").partner == "old"
        (root / "new" / "deep" / "er" / "x").touch()
        assert names(hints(watcher)) == {"new/deep/er/x"}

    def test_a_file_that_is_written_stays_open_when_its_folder_is_renamed(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        (root / "old" / "deep").mkdir(parents=True)
        hints(watcher)
        with (root / "old" / "deep" / "x").open("wb", buffering=0):
            hints(watcher)
            (root / "old").rename(root / "new")
            assert last(hints(watcher), "new/deep/x").open
        assert hints(watcher) == [Hint("new/deep/x")]

    def test_moved_out_is_forgotten(
        self, root: Path, tmp_path: Path, watcher: InotifyWatcher
    ) -> None:
        (root / "a" / "b").mkdir(parents=True)
        hints(watcher)
        (root / "a").rename(tmp_path / "outside")
        assert names(hints(watcher)) == {"a"}
        (tmp_path / "outside" / "b" / "x").touch()
        assert hints(watcher) == []
        assert watcher.description == "inotify, 1 folder"

    def test_moved_in_is_watched(self, root: Path, tmp_path: Path, watcher: InotifyWatcher) -> None:
        (tmp_path / "outside" / "b").mkdir(parents=True)
        (tmp_path / "outside").rename(root / "a")
        assert names(hints(watcher)) == {"a"}
        (root / "a" / "b" / "x").touch()
        assert names(hints(watcher)) == {"a/b/x"}

    def test_deleted_is_forgotten(self, root: Path, watcher: InotifyWatcher) -> None:
        (root / "a" / "b").mkdir(parents=True)
        hints(watcher)
        assert watcher.description == "inotify, 3 folders"
        shutil.rmtree(root / "a")
        assert "a" in names(hints(watcher))
        assert watcher.description == "inotify, 1 folder"

    def test_another_folder_of_the_same_name(self, root: Path, watcher: InotifyWatcher) -> None:
        for _ in range(20):
            (root / "a").mkdir()
            (root / "a").rename(root / "b")
            (root / "a").mkdir()
            hints(watcher)
            (root / "a" / "x").touch()
            (root / "b" / "y").touch()
            assert names(hints(watcher)) == {"a/x", "b/y"}
            shutil.rmtree(root / "a")
            shutil.rmtree(root / "b")
            hints(watcher)

    def test_two_folders_exchanged_by_a_third_name(
        self, root: Path, watcher: InotifyWatcher
    ) -> None:
        for name in "ab":
            (root / name / "in").mkdir(parents=True)
        hints(watcher)
        (root / "a").rename(root / "t")
        (root / "b").rename(root / "a")
        (root / "t").rename(root / "b")
        hints(watcher)
        (root / "a" / "in" / "x").touch()
        assert names(hints(watcher)) == {"a/in/x"}
        (root / "b" / "in" / "x").touch()
        assert names(hints(watcher)) == {"b/in/x"}

    def test_two_folders_exchanged_at_once(self, root: Path, watcher: InotifyWatcher) -> None:
        for name in "ab":
            (root / name / f"in_{name}").mkdir(parents=True)
        hints(watcher)
        exchange(root / "a", root / "b")
        found = hints(watcher)
        assert last(found, "a").partner == "b"
        (root / "a" / "in_b" / "x").touch()
        assert names(hints(watcher)) == {"a/in_b/x"}
        (root / "b" / "in_a" / "x").touch()
        assert names(hints(watcher)) == {"b/in_a/x"}

    def test_file_becomes_folder_and_back(self, root: Path, watcher: InotifyWatcher) -> None:
        (root / "a").touch()
        (root / "a").unlink()
        (root / "a").mkdir()
        hints(watcher)
        (root / "a" / "x").touch()
        assert names(hints(watcher)) == {"a/x"}
        shutil.rmtree(root / "a")
        (root / "a").touch()
        assert last(hints(watcher), "a") == Hint("a")

    def test_very_deep(self, root: Path, watcher: InotifyWatcher) -> None:
        deep = root.joinpath(*["d"] * 400)
        deep.mkdir(parents=True)
        hints(watcher)
        (deep / "x").touch()
        assert names(hints(watcher)) == {"/".join([*["d"] * 400, "x"])}

    def test_links_are_not_followed(
        self, root: Path, tmp_path: Path, watcher: InotifyWatcher
    ) -> None:
        (tmp_path / "outside").mkdir()
        (root / "inside").mkdir()
        (root / "out").symlink_to(tmp_path / "outside")
        (root / "in").symlink_to(root / "inside")
        hints(watcher)
        (tmp_path / "outside" / "x").touch()
        (root / "inside" / "x").touch()
        assert names(hints(watcher)) == {"inside/x"}

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
    def test_a_folder_is_watched_once_it_may_be_read(
        self, root: Path, watcher: InotifyWatcher, notices: list[str]
    ) -> None:
        (root / "a").mkdir(mode=0)
        hints(watcher)
        assert "cannot watch the folder 'a'" in notices[0]
        (root / "a").chmod(0o700)
        assert names(hints(watcher)) == {"a"}
        (root / "a" / "x").touch()
        assert names(hints(watcher)) == {"a/x"}


class TestFollowedLinks:
    @pytest.fixture
    def following(self, root: Path, notices: list[str]) -> Iterator[InotifyWatcher]:
        (root / "real" / "deep").mkdir(parents=True)
        (root / "real" / "file").touch()
        (root / "links").mkdir()
        (root / "links" / "folder").symlink_to("../real")
        (root / "links" / "file").symlink_to("../real/file")
        (root / "links" / "up").symlink_to("..")
        (root / "links" / "nowhere").symlink_to("../later/file")
        (root / "links" / "loop").symlink_to("loop")
        with InotifyWatcher(root, on_notice=notices.append, follow_links=True) as running:
            yield running

    def test_a_change_is_known_by_both_names(self, root: Path, following: InotifyWatcher) -> None:
        (root / "real" / "deep" / "x").touch()
        assert names(hints(following)) >= {"real/deep/x", "links/folder/deep/x"}

    def test_new_folders_too(self, root: Path, following: InotifyWatcher) -> None:
        (root / "real" / "new").mkdir()
        hints(following)
        (root / "links" / "folder" / "new" / "x").touch()
        assert names(hints(following)) >= {"real/new/x", "links/folder/new/x"}

    def test_a_linked_file(self, root: Path, following: InotifyWatcher) -> None:
        with (root / "real" / "file").open("ab", buffering=0) as file:
            file.write(b"x")
            assert last(hints(following), "links/file").open
        assert last(hints(following), "links/file") == Hint("links/file")
        (root / "real" / "file").unlink()
        assert "links/file" in names(hints(following))

    def test_where_it_leads_is_moved_away_and_back(
        self, root: Path, following: InotifyWatcher
    ) -> None:
        (root / "real").rename(root / "other")
        assert {"links/folder", "links/file"} <= names(hints(following))
        (root / "other" / "x").touch()
        assert "links/folder/x" not in names(hints(following))
        (root / "other").rename(root / "real")
        assert {"links/folder", "links/file"} <= names(hints(following))
        (root / "real" / "x").write_text("x")
        assert "links/folder/x" in names(hints(following))

    def test_where_it_leads_comes_later(self, root: Path, following: InotifyWatcher) -> None:
        (root / "later").mkdir()
        (root / "later" / "file").touch()
        assert "links/nowhere" in names(hints(following))

    def test_a_link_is_made_changed_and_removed(
        self, root: Path, following: InotifyWatcher
    ) -> None:
        (root / "link").symlink_to("real")
        assert names(hints(following)) >= {"link"}
        (root / "real" / "x").touch()
        assert "link/x" in names(hints(following))
        (root / "link").unlink()
        hints(following)
        (root / "real" / "y").touch()
        assert "link/y" not in names(hints(following))

    def test_what_leads_out_is_not_followed(
        self, root: Path, tmp_path: Path, following: InotifyWatcher
    ) -> None:
        (tmp_path / "outside").mkdir()
        (root / "out").symlink_to(tmp_path / "outside")
        hints(following)
        (tmp_path / "outside" / "x").touch()
        assert hints(following) == []

    def test_links_in_a_circle_end(self, root: Path, following: InotifyWatcher) -> None:
        (root / "real" / "back").symlink_to("../links")
        hints(following)
        (root / "real" / "deep" / "x").touch()
        found = names(hints(following))
        assert {"real/deep/x", "links/folder/deep/x"} <= found
        assert len(found) < 20


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one step: renameat2(2) with RENAME_EXCHANGE."""
    here, flag = -100, 2
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), flag):
        pytest.skip(f"the filesystem cannot exchange: {os.strerror(ctypes.get_errno())}")


def refuse(monkeypatch: pytest.MonkeyPatch, code: int, allowed: int, path_part: str = "") -> None:
    """Let ``add_watch`` fail from the ``allowed``-th folder on, as the kernel would."""
    genuine = inotify_simple.INotify.add_watch
    count = 0

    def add_watch(self: inotify_simple.INotify, path: str, mask: int) -> int:
        nonlocal count
        if path_part in str(path):
            count += 1
            if count > allowed:
                raise OSError(code, os.strerror(code))
        wd: int = genuine(self, path, mask)
        return wd

    monkeypatch.setattr(inotify_simple.INotify, "add_watch", add_watch)


class TestTheHost:
    def test_the_queue_overflows(
        self, root: Path, watcher: InotifyWatcher, notices: list[str]
    ) -> None:
        (root / "a").mkdir()
        hints(watcher)
        limit = int((watch_limits._SETTINGS / "max_queued_events").read_text())
        for number in range(limit // 2 + 10):
            for name in (f"a/{number % 2}", "b"):
                (root / name).touch()
        (root / "unseen" / "below").mkdir(parents=True)
        assert Hint(EVERYTHING) in hints(watcher)
        assert "fs.inotify.max_queued_events=" in notices[0]
        (root / "unseen" / "below" / "x").touch()
        assert names(hints(watcher)) == {"unseen/below/x"}
        assert watcher.description == "inotify, 4 folders"

    def test_watches_that_are_not_needed_after_an_overflow_are_given_back(
        self, root: Path, tmp_path: Path, watcher: InotifyWatcher
    ) -> None:
        (root / "a").mkdir()
        hints(watcher)
        assert watcher._watch is not None
        (root / "a").rename(tmp_path / "outside")
        while watcher._watch.inotify.read(timeout=50):
            pass  # the kernel's queue is lost
        watcher._watch.reader.overflowed = True
        assert hints(watcher) == [Hint(EVERYTHING)]
        (tmp_path / "outside" / "x").touch()
        assert watcher._watch.inotify.read(timeout=50) in ([], [(2, 0x8000, 0, "")])

    def test_the_limit_of_watches_is_met_while_running(
        self,
        root: Path,
        watcher: InotifyWatcher,
        notices: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        refuse(monkeypatch, errno.ENOSPC, 1)
        (root / "a").mkdir()
        (root / "b").mkdir()
        assert watcher.wait(20)[-1] == Hint(EVERYTHING)
        assert "sysctl fs.inotify.max_user_watches=" in notices[0]
        assert watcher.description.startswith("polling every 0.1 s")
        assert watcher.wait(20) == [Hint(EVERYTHING)], "and again"

    def test_the_limit_of_watches_is_met_at_the_start(
        self, root: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (root / "a").mkdir()
        refuse(monkeypatch, errno.ENOSPC, 1)
        with InotifyWatcher(root, on_notice=notices.append, fallback_seconds=0.1) as watcher:
            assert watcher.description.startswith("polling every 0.1 s")
            assert watcher.wait(20) == [Hint(EVERYTHING)]
            threading.Timer(0.05, watcher.wake).start()
            assert watcher.wait(0.01) == []
        assert len(notices) == 1

    @pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
    def test_the_limit_of_instances(
        self, root: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        def refused() -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(watch_inotify, "INotify", refused)
        with InotifyWatcher(root, on_notice=notices.append, fallback_seconds=0.1) as watcher:
            assert watcher.wait(20) == [Hint(EVERYTHING)]
        assert "sysctl fs.inotify.max_user_instances=" in notices[0]

    def test_a_folder_that_cannot_be_watched_is_named_and_tried_again(
        self,
        root: Path,
        watcher: InotifyWatcher,
        notices: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with monkeypatch.context() as patched:
            refuse(patched, errno.EACCES, 0, "secret")
            (root / "a" / "secret").mkdir(parents=True)
            hints(watcher)
        assert "cannot watch the folder 'a/secret'" in notices[0]
        (root / "a").chmod(0o700)
        assert names(hints(watcher)) == {"a"}
        (root / "a" / "secret" / "x").touch()
        assert names(hints(watcher)) == {"a/secret/x"}


class TestTheRoot:
    @pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
    def test_gone_and_back(
        self, root: Path, tmp_path: Path, watcher: InotifyWatcher, notices: list[str], how: str
    ) -> None:
        if how == "deleted":
            root.rmdir()
        else:
            root.rename(tmp_path / "moved")
        if how == "replaced":
            root.mkdir()
        assert Hint(EVERYTHING) in watcher.wait(20)
        assert notices
        assert "cannot be watched" in notices[0]
        if how != "replaced":
            assert watcher.wait(0.05) == []
            assert watcher.description == "inotify, waiting for the source"
            root.mkdir()
        (root / "a").mkdir()
        assert wait_for(watcher, lambda hint: hint.name == EVERYTHING)
        assert len(notices) == 2
        (root / "a" / "x").touch()
        assert "a/x" in names(hints(watcher))

    def test_the_folder_above_it_is_renamed(self, tmp_path: Path, notices: list[str]) -> None:
        root = tmp_path / "above" / "source"
        root.mkdir(parents=True)
        with InotifyWatcher(root, on_notice=notices.append) as watcher:
            (tmp_path / "above").rename(tmp_path / "away")
            assert watcher.wait(20) == [Hint(EVERYTHING)]
            (tmp_path / "away").rename(tmp_path / "above")
            assert watcher.wait(20) == [Hint(EVERYTHING)]

    def test_not_there_at_the_start(self, root: Path, notices: list[str]) -> None:
        root.rmdir()
        with InotifyWatcher(root, on_notice=notices.append) as watcher:
            assert watcher.wait(0.05) == []
            assert watcher.wait(0.05) == []
            assert len(notices) == 1
            root.mkdir()
            assert watcher.wait(20) == [Hint(EVERYTHING)]

    def test_a_file_is_no_root(self, root: Path, notices: list[str]) -> None:
        root.rmdir()
        root.touch()
        with InotifyWatcher(root, on_notice=notices.append) as watcher:
            assert watcher.wait(0.05) == []
        assert "Not a directory" in notices[0]

    def test_may_be_a_link(self, root: Path, tmp_path: Path, notices: list[str]) -> None:
        (tmp_path / "link").symlink_to(root)
        with InotifyWatcher(tmp_path / "link", on_notice=notices.append) as watcher:
            (root / "x").touch()
            assert names(hints(watcher)) == {"x"}


class TestWake:
    def test_from_another_thread(self, watcher: InotifyWatcher) -> None:
        threading.Timer(0.1, watcher.wake).start()
        started = time.monotonic()
        assert watcher.wait(30) == []
        assert time.monotonic() - started < 20

    def test_before_the_wait(self, watcher: InotifyWatcher) -> None:
        watcher.wake()
        watcher.wake()
        started = time.monotonic()
        assert watcher.wait(30) == []
        assert time.monotonic() - started < 20
        assert watcher.wait(0.05) == []
        assert time.monotonic() - started >= 0.05, "one wake, one return"

    def test_from_a_signal_handler(self, watcher: InotifyWatcher) -> None:
        before = signal.signal(signal.SIGALRM, lambda *_: watcher.wake())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            started = time.monotonic()
            assert watcher.wait(30) == []
            assert time.monotonic() - started < 20
        finally:
            signal.signal(signal.SIGALRM, before)

    def test_outside_the_block(self, root: Path) -> None:
        watcher = InotifyWatcher(root, on_notice=pytest.fail)
        watcher.wake()
        with watcher:
            assert watcher.wait(30) == []
        watcher.wake()

    def test_more_often_than_a_pipe_holds(self, watcher: InotifyWatcher) -> None:
        for _ in range(200_000):
            watcher.wake()
        assert watcher.wait(30) == []

    def test_nothing_to_say_takes_as_long_as_it_may(self, watcher: InotifyWatcher) -> None:
        started = time.monotonic()
        assert watcher.wait(0.2) == []
        assert 0.2 <= time.monotonic() - started < 2


def test_leaves_nothing_open(root: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with InotifyWatcher(root, on_notice=pytest.fail) as watcher:
        watcher.wait(0.01)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_socket_is_a_name_like_another(root: Path, watcher: InotifyWatcher) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(root / "s"))
        assert hints(watcher) == [Hint("s")]


def test_a_burst_of_1000_renames_stays_1000_pairs(root: Path, watcher: InotifyWatcher) -> None:
    (root / "old").mkdir()
    (root / "new").mkdir()
    for number in range(1_000):
        (root / "old" / str(number)).touch()
    hints(watcher)
    for number in range(1_000):
        (root / "old" / str(number)).rename(root / "new" / str(number))
    changes = Changes()
    changes.add(hints(watcher), 0.0)
    assert len(changes.take(1.0)) == 2_000
    assert len(changes) == 0
