"""The tree of a backup on this host: nothing in it is taken for what it is not."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.paperless.home_kit import sha256

from paperfleet.backup.manifest import tree_name
from paperfleet.backup.place import BackupPlace
from paperfleet.backup.tree import ProvenTree, prove
from paperfleet.errors import BackupError

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = (b"one", b"two", b"three")
NAMES = {content: tree_name(sha256(content)) for content in CONTENTS}


@pytest.fixture
def place(tmp_path: Path) -> BackupPlace:
    made = BackupPlace(tmp_path / "backup")
    made.make()
    for content, name in NAMES.items():
        (made.tree / name).parent.mkdir(exist_ok=True)
        (made.tree / name).write_bytes(content)
    return made


def proven(place: BackupPlace, repository: str = "first") -> ProvenTree:
    sizes: list[int] = []
    planned: list[tuple[int, int]] = []
    found = prove(
        place, repository, planned=lambda *plan: planned.append(plan), listener=sizes.append
    )
    assert planned == [(found.read, sum(sizes))]
    assert len(sizes) == found.read
    return found


def set_aside(place: BackupPlace) -> list[bytes]:
    return [path.read_bytes() for path in place.damaged.iterdir()]


def test_each_file_is_read_once(place: BackupPlace) -> None:
    assert proven(place) == (3, 3, [])
    assert proven(place) == (3, 0, [])
    new = tree_name(sha256(b"four"))
    (place.tree / new).parent.mkdir(exist_ok=True)
    (place.tree / new).write_bytes(b"four")
    assert proven(place) == (4, 1, [])


def test_what_was_written_over_goes_out_of_the_tree_and_is_kept(place: BackupPlace) -> None:
    proven(place)
    (place.tree / NAMES[b"two"]).write_bytes(b"TWO")
    assert proven(place) == (3, 1, [NAMES[b"two"]])
    assert not (place.tree / NAMES[b"two"]).exists()
    assert set_aside(place) == [b"TWO"]
    assert proven(place) == (2, 0, [])


def test_what_changed_behind_all_backs_is_found_when_all_is_read(place: BackupPlace) -> None:
    proven(place)
    rot(place, NAMES[b"two"])
    assert proven(place).damaged == [], "nothing says that it has changed"
    assert proven(place, "").damaged == [NAMES[b"two"]]


@pytest.mark.parametrize("repository", ["", "second"])
def test_for_a_new_repository_all_is_read(place: BackupPlace, repository: str) -> None:
    proven(place)
    assert proven(place, repository) == (3, 3, [])


def test_a_foreign_file_and_a_link_are_none_of_it(place: BackupPlace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"one")
    (place.tree / NAMES[b"one"]).unlink()
    (place.tree / NAMES[b"one"]).symlink_to(tmp_path / "elsewhere")
    (place.tree / "notes.txt").write_bytes(b"mine")
    assert sorted(proven(place).damaged) == sorted([NAMES[b"one"], "notes.txt"])
    assert (tmp_path / "elsewhere").read_bytes() == b"one"


def test_a_memory_that_is_still_true_is_not_written_again(place: BackupPlace) -> None:
    proven(place)
    before = place.proven.stat().st_ino
    proven(place)
    assert place.proven.stat().st_ino == before
    (place.tree / NAMES[b"two"]).unlink()
    proven(place)
    assert NAMES[b"two"] not in json.loads(place.proven.read_text())["files"]


@pytest.mark.parametrize("stored", ["", "[]", "{", '{"repository": "first", "files": {"a": 1}}'])
def test_a_damaged_memory_means_reading_all(place: BackupPlace, stored: str) -> None:
    place.proven.write_text(stored)
    assert proven(place) == (3, 3, [])


def test_a_tree_that_cannot_be_read_is_an_error(place: BackupPlace) -> None:
    place.tree.rename(place.folder / "away")
    with pytest.raises(BackupError, match="cannot be read"):
        proven(place)


def rot(place: BackupPlace, name: str) -> None:
    """Change a byte as a disk does that rots: nothing of the file tells that it was changed."""
    path = place.tree / name
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    stat = os.lstat(path)
    memory = json.loads(place.proven.read_text())
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    memory["files"][name] = state
    place.proven.write_text(json.dumps(memory))
