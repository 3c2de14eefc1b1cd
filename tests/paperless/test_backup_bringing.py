"""Files on their way to the tree of a backup, while paperless-ngx goes on working."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from tests.paperless.home_kit import Rows, home_of, md5, sha256

from paperfleet.backup.manifest import tree_name
from paperfleet.errors import (
    FileAccessError,
    NotAStorageError,
    NotFoundError,
    UnavailableError,
)
from paperfleet.paperless.areas import ORIGINALS, THUMBNAILS
from paperfleet.paperless.backup.bringing import NEW, Bringing, BroughtFile
from paperfleet.paperless.backup.expecting import ExportedFile
from paperfleet.paperless.homes import Home, own_folder
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.testing.faults import FaultyStorage
from paperfleet.transfer.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    return Rows(monkeypatch)


def exported(rows: Rows) -> list[ExportedFile]:
    """Return what an export at this moment names."""
    return [ExportedFile(file, f"{file.row}.pdf") for file in rows.files.values()]


def bring(home: Home, files: list[ExportedFile], folder: Path) -> list[BroughtFile]:
    tree = full(LocalBackend(folder / "files"))
    with home, tree, Progress(folder / "known.jsonl") as known:
        bringing = Bringing(home, tree, known)
        bringing.look()
        return list(bringing.bring(files, lambda _: None))


def tree_of(folder: Path) -> dict[str, bytes]:
    root = folder / "files"
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("hashed", [sha256, md5])
def test_nothing_is_read_twice(rows: Rows, tmp_path: Path, hashed: Callable[[bytes], str]) -> None:
    contents = {"originals/a": b"one", "originals/b": b"two", "thumbnails/7.webp": b"small"}
    home = home_of(contents)
    rows.add(1, "a", hashed(b"one"))
    rows.add(2, "b", hashed(b"two"))
    rows.add(7, "7.webp", "", THUMBNAILS)
    first = bring(home, exported(rows), tmp_path)
    assert [(one.is_new, one.file.fault) for one in first] == [(True, "")] * 3
    assert tree_of(tmp_path) == {tree_name(sha256(c)): c for c in contents.values()}
    watched = FaultyStorage(home.base)
    again = bring(Home(watched), exported(rows), tmp_path)
    assert [one.file for one in again] == [one.file for one in first]
    assert not any(one.is_new for one in again)
    made = [call.operation for call in watched.calls]
    assert made == ["enter", "list_stats", "exit"], "of the thumbnails alone"


def test_a_new_thumbnail_is_brought(rows: Rows, tmp_path: Path) -> None:
    home = home_of({"thumbnails/7.webp": b"old"})
    rows.add(7, "7.webp", "", THUMBNAILS)
    bring(home, exported(rows), tmp_path)
    with home:
        home.area(THUMBNAILS).save("7.webp", io.BytesIO(b"new"))
    (again,) = bring(home, exported(rows), tmp_path)
    assert again.is_new
    assert again.file.sha256 == sha256(b"new")


@pytest.mark.parametrize("hashed", [sha256, md5])
def test_what_was_renamed_since_the_export_is_found(
    rows: Rows, tmp_path: Path, hashed: Callable[[bytes], str]
) -> None:
    rows.add(1, "old", hashed(b"one"))
    files = exported(rows)
    rows.add(1, "new", hashed(b"one"))
    (found,) = bring(home_of({"originals/new": b"one"}), files, tmp_path)
    assert (found.is_changed, found.file.fault, found.file.key) == (False, "", "old")
    assert found.file.sha256 == sha256(b"one")


def test_another_file_under_the_old_name_is_not_taken_for_it(rows: Rows, tmp_path: Path) -> None:
    rows.add(1, "old", sha256(b"one"))
    files = exported(rows)
    rows.add(1, "new", sha256(b"one"))
    home = home_of({"originals/old": b"another", "originals/new": b"one"})
    (found,) = bring(home, files, tmp_path)
    assert (found.file.fault, found.file.sha256) == ("", sha256(b"one"))


def test_what_was_deleted_or_overwritten_since_asks_for_a_newer_export(
    rows: Rows, tmp_path: Path
) -> None:
    rows.add(1, "a", sha256(b"one"))
    rows.add(2, "b", sha256(b"two"))
    files = exported(rows)
    del rows.files[ORIGINALS, 1]
    rows.add(2, "b", sha256(b"second version"))
    found = bring(home_of({"originals/b": b"second version"}), files, tmp_path)
    assert [one.is_changed for one in found] == [True, True]
    assert all(one.file.fault and not one.file.sha256 for one in found)
    (again,) = bring(home_of({"originals/b": b"second version"}), exported(rows), tmp_path)
    assert (again.is_changed, again.file.fault) == (False, "")


@pytest.mark.parametrize("hashed", [sha256, md5])
def test_what_is_damaged_or_missing_is_named_and_what_there_is_is_kept(
    rows: Rows, tmp_path: Path, hashed: Callable[[bytes], str]
) -> None:
    rows.add(1, "damaged", hashed(b"sound"))
    rows.add(2, "missing", hashed(b"two"))
    damaged, missing = bring(home_of({"originals/damaged": b"rotten"}), exported(rows), tmp_path)
    assert not damaged.is_changed
    assert "other bytes" in damaged.file.fault
    assert tree_of(tmp_path) == {tree_name(damaged.file.sha256): b"rotten"}
    assert not missing.is_changed
    assert "missing" in missing.file.fault
    (again, _) = bring(home_of({"originals/damaged": b"rotten"}), exported(rows), tmp_path)
    assert "other bytes" in again.file.fault, "it is not taken for right the second time"


def test_what_cannot_be_read_is_named(rows: Rows, tmp_path: Path) -> None:
    home = home_of({"originals/a": b"one", "originals/b": b"two"})
    rows.add(1, "a", sha256(b"one"))
    rows.add(2, "b", sha256(b"two"))
    watched = FaultyStorage(home.base)
    watched.fail("open", "originals/a", error=FileAccessError, times=None)
    first, second = bring(Home(watched), exported(rows), tmp_path)
    assert first.file.fault
    assert not second.file.fault


def test_a_storage_out_of_reach_ends_it(rows: Rows, tmp_path: Path) -> None:
    home = home_of({"originals/a": b"one"})
    rows.add(1, "a", sha256(b"one"))
    watched = FaultyStorage(home.base)
    watched.fail("open", "originals/a", times=None)
    with pytest.raises(UnavailableError):
        bring(Home(watched), exported(rows), tmp_path)


def test_what_a_killed_run_has_left_is_removed(rows: Rows, tmp_path: Path) -> None:
    left = tmp_path / "files" / NEW / "0123"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    rows.add(1, "a", sha256(b"one"))
    bring(home_of({"originals/a": b"one"}), exported(rows), tmp_path)
    assert tree_of(tmp_path) == {tree_name(sha256(b"one")): b"one"}


def test_two_documents_with_one_content_are_one_file(rows: Rows, tmp_path: Path) -> None:
    names = [f"{number}" for number in range(20)]
    for number, name in enumerate(names):
        rows.add(number, name, sha256(b"same"))
    home = home_of({f"originals/{name}": b"same" for name in names})
    found = bring(home, exported(rows), tmp_path)
    assert not any(one.file.fault for one in found)
    assert tree_of(tmp_path) == {tree_name(sha256(b"same")): b"same"}


def test_a_folder_that_is_made_meanwhile_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    with full(own_folder(str(folder), create=False)) as storage:
        assert list(storage.list_stats()) == []
        with pytest.raises(NotFoundError):
            storage.stat("2026/1.pdf")
        with pytest.raises(NotAStorageError, match="was not there"):
            storage.save("2026/1.pdf", io.BytesIO(b"lost if it were taken"))
        assert not folder.exists()
        (folder / "2026").mkdir(parents=True)
        (folder / "2026" / "1.pdf").write_bytes(b"archive")
        assert [stat.name for stat in storage.list_stats()] == ["2026/1.pdf"]
        with storage.open("2026/1.pdf") as stream:
            assert stream.read() == b"archive"
