"""Polling hints at everything in time, and the watcher that fits the filesystem is chosen."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from paperfleet.mirror.watch import choose as watch
from paperfleet.mirror.watch.choose import EVERYTHING, Hint, choose_watcher
from paperfleet.mirror.watch.polling import PollingWatcher

if TYPE_CHECKING:
    from pathlib import Path


def test_hints_at_everything_every_so_often(tmp_path: Path) -> None:
    with PollingWatcher(tmp_path, 0.1) as watcher:
        started = time.monotonic()
        assert watcher.wait(0.02) == []
        for _ in range(3):
            assert watcher.wait(30) == [Hint(EVERYTHING)]
        assert 0.3 <= time.monotonic() - started < 20


def test_leaves_a_slow_source_alone_for_as_long_as_a_look_at_it_took(tmp_path: Path) -> None:
    with PollingWatcher(tmp_path, 0.1) as watcher:
        assert watcher.wait(30) == [Hint(EVERYTHING)]
        time.sleep(0.4)
        started = time.monotonic()
        assert watcher.wait(30) == [Hint(EVERYTHING)]
        assert time.monotonic() - started >= 0.35


def test_wake(tmp_path: Path) -> None:
    with PollingWatcher(tmp_path, 60) as watcher:
        threading.Timer(0.1, watcher.wake).start()
        started = time.monotonic()
        assert watcher.wait(30) == []
        assert time.monotonic() - started < 20


def test_says_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperfleet.mirror.watch.polling.filesystem_type", lambda _: "nfs4")
    assert PollingWatcher(tmp_path, 10.0).description == "polling every 10 s (nfs4)"


def test_needs_its_block(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside the with block"):
        PollingWatcher(tmp_path, 0.1).wait(1)


class TestChoice:
    @pytest.fixture
    def notices(self) -> list[str]:
        return []

    @pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux alone")
    def test_inotify_on_a_local_disk(
        self, tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "filesystem_type", lambda _: "ext4")
        with choose_watcher(tmp_path, poll_seconds=None, on_notice=notices.append) as watcher:
            assert watcher.description == "inotify, 1 folder"
        assert notices == []

    def test_polling_when_asked_for(self, tmp_path: Path, notices: list[str]) -> None:
        watcher = choose_watcher(tmp_path, poll_seconds=3, on_notice=notices.append)
        assert watcher.description.startswith("polling every 3 s")
        assert notices == []

    @pytest.mark.parametrize("fstype", ["nfs4", "cifs", "fuse.sshfs", "9p"])
    def test_polling_on_a_network(
        self, tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch, fstype: str
    ) -> None:
        monkeypatch.setattr(watch, "filesystem_type", lambda _: fstype)
        watcher = choose_watcher(tmp_path, poll_seconds=None, on_notice=notices.append)
        assert watcher.description.startswith("polling every 10 s")
        assert fstype in notices[0]

    def test_polling_without_inotify(
        self, tmp_path: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        watcher = choose_watcher(tmp_path, poll_seconds=None, on_notice=notices.append)
        assert watcher.description.startswith("polling every 10 s")
        assert "darwin" in notices[0]
