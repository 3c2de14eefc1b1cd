"""Folders that a block emptied go away at its end, and no others."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from paperfleet.storage.local.backend import LocalBackend

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    for name in ("a/b/one", "a/b/two", "c/three", "top"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"x")
    return path


def folders(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir()}


def test_emptied_folders_and_parents_go_at_the_end(root: Path) -> None:
    with LocalBackend(root) as storage:
        storage.delete("a/b/one")
        storage.delete("a/b/two")
        assert folders(root) == {"a", "a/b", "c"}
    assert folders(root) == {"c"}


def test_moves_empty_folders_too(root: Path) -> None:
    with LocalBackend(root) as storage:
        storage.move("c/three", "a/three")
        storage.move_folder("a/b", "d")
    assert folders(root) == {"a", "d"}


def test_the_root_stays(root: Path) -> None:
    with LocalBackend(root) as storage:
        for name in list(storage.list_files()):
            storage.delete(name)
    assert root.is_dir()
    assert list(root.iterdir()) == []


def test_the_outermost_block_counts(root: Path) -> None:
    with LocalBackend(root) as storage:
        with storage:
            storage.delete("c/three")
        assert folders(root) == {"a", "a/b", "c"}
    assert folders(root) == {"a", "a/b"}


def test_an_exception_leaves_them(root: Path) -> None:
    storage = LocalBackend(root)
    with pytest.raises(KeyError), storage:  # noqa: PT012 (the block is the subject)
        storage.delete("c/three")
        raise KeyError
    assert folders(root) == {"a", "a/b", "c"}
    with storage:
        pass
    assert folders(root) == {"a", "a/b", "c"}, "another block has nothing to do with it"


def test_an_exception_in_an_inner_block_that_was_handled(root: Path) -> None:
    with LocalBackend(root) as storage:
        assert storage.exists("c/three")
        with pytest.raises(KeyError), storage:  # noqa: PT012 (the block is the subject)
            storage.delete("c/three")
            raise KeyError
    assert folders(root) == {"a", "a/b"}


def test_folders_emptied_or_made_by_others_stay(root: Path) -> None:
    (root / "made" / "by" / "others").mkdir(parents=True)
    with LocalBackend(root) as storage:
        storage.delete("a/b/one")
        (root / "a" / "b" / "two").unlink()
        storage.delete("c/three")
        (root / "c" / "beside").mkdir()
    assert folders(root) == {"a", "a/b", "c", "c/beside", "made", "made/by", "made/by/others"}


def test_a_file_that_arrives_meanwhile(root: Path) -> None:
    with LocalBackend(root) as storage:
        storage.delete("c/three")
        storage.save("c/four", io.BytesIO(b"x"))
    assert (root / "c" / "four").exists()


def test_folders_that_were_made_on_purpose_stay(root: Path) -> None:
    with LocalBackend(root) as storage:
        storage.make_folder("empty/folder")
    assert "empty/folder" in folders(root)


def test_a_folder_that_cannot_be_removed_is_no_failure(root: Path) -> None:
    with LocalBackend(root) as storage:
        storage.delete("c/three")
        root.rename(root.with_name("elsewhere"))
    assert folders(root.with_name("elsewhere")) == {"a", "a/b", "c"}


def test_each_thread_has_its_own_blocks(root: Path) -> None:
    storage = LocalBackend(root)
    inside, finish = threading.Event(), threading.Event()

    def hold() -> None:
        with storage:
            inside.set()
            assert finish.wait(10)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert inside.wait(10)
        with storage:
            storage.delete("c/three")
        assert folders(root) == {"a", "a/b"}
        finish.set()
        holding.result(10)


def test_a_thread_inside_the_block_of_another(root: Path) -> None:
    with LocalBackend(root) as storage:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(storage.delete, "c/three").result(10)
        assert folders(root) == {"a", "a/b", "c"}
    assert folders(root) == {"a", "a/b"}
