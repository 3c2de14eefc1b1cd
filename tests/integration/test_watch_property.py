"""Whatever is done to a tree: a look at the hinted names alone gives its true state."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paperfleet.mirror.watch.changes import Changes
from paperfleet.storage.names import is_below

pytest.importorskip("inotify_simple", reason="inotify is Linux alone")

from paperfleet.mirror.watch.inotify import InotifyWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Edit = Callable[[Path], None]
    State = dict[str, tuple[int, bytes]]

SETTLE = 0.05


def scan(root: Path, name: str = "") -> State:
    """Return inode and content of every file at or below a name, as far as it holds still."""
    found: State = {}
    todo = [root / name]
    while todo:
        path = todo.pop()
        try:
            if path.is_dir():
                todo += path.iterdir()
            else:
                state = (path.stat().st_ino, path.read_bytes())
                found[path.relative_to(root).as_posix()] = state
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue  # changed under our hands: there will be a hint
    return found


class Follower:
    """Knows a tree by what hints made it look at, as the engine does."""

    def __init__(self, root: Path, watcher: InotifyWatcher) -> None:
        self._root = root
        self._watcher = watcher
        self._changes = Changes(SETTLE, 0.2)
        self.known: State = scan(root)

    def look(self) -> None:
        """Follow the hints until nothing waits and nothing comes."""
        deadline = time.monotonic() + 20
        while self.step(0.06):
            assert time.monotonic() < deadline, "it does not come to rest"

    def step(self, seconds: float) -> bool:
        """Follow the hints of this moment; say whether there were any, or some still wait."""
        due = self._changes.next_due(time.monotonic())
        found = self._watcher.wait(seconds if due is None else min(seconds, due))
        self._changes.add(found, time.monotonic())
        for name in self._changes.take(time.monotonic()):
            self._rescan(name)
        return due is not None or bool(found)

    def _rescan(self, name: str) -> None:
        kept = {
            known: state
            for known, state in self.known.items()
            if self._changes.unsettled(known) or not (known == name or is_below(known, name))
        }
        seen = scan(self._root, name)
        self.known = kept | {
            new: state for new, state in seen.items() if not self._changes.unsettled(new)
        }


FOLDERS = ["", "a", "b", "a/a", "a/b", "b/a", "a/a/a"]
NAMES = st.sampled_from([f"{folder}/{name}".lstrip("/") for folder in FOLDERS for name in "abx"])


def write(name: str, content: bytes) -> Edit:
    def edit(root: Path) -> None:
        path = root / name
        if not path.is_dir() and path.parent.is_dir():
            if path.exists() and path.stat().st_nlink > 1:
                path.unlink()  # a change of other names too has tests of its own
            path.write_bytes(content)

    return edit


def create_below(name: str, count: int) -> Edit:
    def edit(root: Path) -> None:
        folder = root / name
        if any(above.is_file() for above in (folder, *folder.parents)):
            return
        for number in range(count):
            deep = folder / str(number % 3) / str(number % 2)
            deep.mkdir(parents=True, exist_ok=True)
            (deep / str(number)).write_bytes(b"%d" % number)

    return edit


def rename(old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        source, target = root / old, root / new
        if old == new or is_below(new, old) or is_below(old, new):
            return
        if not source.exists() or not target.parent.is_dir():
            return
        if target.is_dir():
            shutil.rmtree(target)
        elif target.exists() and source.is_dir():
            target.unlink()
        source.rename(target)

    return edit


def out_and_in(old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        away = root.parent / "away"
        if (root / old).exists():
            (root / old).rename(away)
            if (root / new).parent.is_dir() and not (root / new).exists():
                away.rename(root / new)
        remove(away)

    return edit


def delete(name: str) -> Edit:
    return lambda root: remove(root / name)


def link(old: str, new: str) -> Edit:
    def edit(root: Path) -> None:
        target = root / new
        if (root / old).is_file() and target.parent.is_dir() and not target.exists():
            os.link(root / old, target)

    return edit


def pause(seconds: float) -> Edit:
    return lambda _root: time.sleep(seconds)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


EDITS = st.one_of(
    st.builds(write, NAMES, st.binary(max_size=3)),
    st.builds(create_below, NAMES, st.sampled_from([1, 5, 60])),
    st.builds(rename, NAMES, NAMES),
    st.builds(rename, NAMES, NAMES),
    st.builds(out_and_in, NAMES, NAMES),
    st.builds(delete, NAMES),
    st.builds(link, NAMES, NAMES),
    st.builds(pause, st.sampled_from([0.001, 0.03])),
)
BURSTS = st.lists(st.lists(EDITS, min_size=1, max_size=12), min_size=1, max_size=3)


@contextmanager
def followed() -> Iterator[tuple[Path, Follower]]:
    notices: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "source")
        (root / "a" / "a").mkdir(parents=True)
        (root / "b").mkdir()
        with InotifyWatcher(root, on_notice=notices.append) as watcher:
            yield root, Follower(root, watcher)
    assert notices == []


SHORT = settings(
    max_examples=settings().max_examples // 5,  # each takes a few tenths of a second
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.property
@given(BURSTS)
@SHORT
def test_hinted_names_are_all_that_changed(bursts: list[list[Edit]]) -> None:
    with followed() as (root, follower):
        for burst in bursts:
            for edit in burst:
                edit(root)
            follower.look()
            assert follower.known == scan(root)


@pytest.mark.property
@given(BURSTS)
@SHORT
def test_also_when_the_changes_go_on_while_we_look(bursts: list[list[Edit]]) -> None:
    with followed() as (root, follower), ThreadPoolExecutor(1) as pool:
        for burst in bursts:
            editing = pool.submit(lambda edits: [edit(root) for edit in edits], burst)
            while not editing.done():
                follower.step(0.005)
            editing.result()
            follower.look()
            assert follower.known == scan(root)
