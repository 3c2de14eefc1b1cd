"""A survey of a folder tells every file and everything that is not one."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import FileAccessError, NotAStorageError, NotFoundError
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.names import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    for name in ("a/b/file", "a/file", "top"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(name.encode())
    return path


def read(storage: LocalBackend, name: str) -> bytes:
    with storage.open(name) as stream:
        return stream.read()


def survey(root: Path, prefix: str = "", *, follow_links: bool = False) -> dict[str, str]:
    """Return for each name 'file', or its obstacle with '…' where what is below is unknown."""
    with LocalBackend(root, follow_links=follow_links, read_only=True) as storage:
        return {item.name: _shown(item) for item in storage.survey(prefix)}


def _shown(item: FileStat | Obstacle) -> str:
    if isinstance(item, FileStat):
        return "file"
    return item.reason + (" …" if item.below else "")


FILES = {"a/b/file": "file", "a/file": "file", "top": "file"}


def test_stat_fields(root: Path) -> None:
    found = (root / "a" / "file").stat()
    with LocalBackend(root) as storage:
        [item] = storage.survey("a/file")
    assert item == FileStat(
        "a/file",
        6,
        found.st_mtime_ns,
        f"{found.st_ctime_ns:x}",
        f"{found.st_dev:x}:{found.st_ino:x}",
        None,
    )


def test_pipes_sockets_and_devices(root: Path) -> None:
    os.mkfifo(root / "a" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
    expected = {"a/pipe": "a named pipe, not a file", "socket": "a socket, not a file"}
    assert survey(root) == {**FILES, **expected}
    assert survey(root, "a/pipe") == {"a/pipe": "a named pipe, not a file"}


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with LocalBackend(root) as storage:
        with pytest.raises(NotFoundError):
            storage.open("pipe")
        assert not storage.exists("pipe")
        assert list(storage.list_files()) == sorted(FILES)


def test_names_that_are_not_utf8(root: Path) -> None:
    strange = os.fsdecode(b"caf\xe9")
    (root / strange).write_bytes(b"x")
    (root / "a" / strange).mkdir()
    (root / "a" / strange / "below").write_bytes(b"x")
    assert survey(root) == {
        **FILES,
        strange: "the name is not UTF-8",
        f"a/{strange}": "the name is not UTF-8 …",
    }
    with LocalBackend(root) as storage:
        assert list(storage.list_files()) == sorted(FILES)
        assert read(storage, strange) == b"x"


def test_our_own_unfinished_files_are_told_and_never_listed(root: Path) -> None:
    (root / ".paperfleet-save-0123").write_bytes(b"half")
    (root / "a" / ".paperfleet-move").mkdir()
    (root / "a" / ".paperfleet-move" / "x").write_bytes(b"x")
    own = {".paperfleet-save-0123": RESERVED, "a/.paperfleet-move": f"{RESERVED} …"}
    assert survey(root) == FILES | own
    for name in own:
        assert survey(root, name) == {name: f"{RESERVED} …"}
    with LocalBackend(root) as storage:
        assert list(storage.list_files()) == sorted(FILES)
        assert {item.name for item in storage.list_stats()} == set(FILES)


LINKS = {
    "to file": "a/file",
    "to folder": "a/b",
    "out": "../outside",
    "to nothing": "missing",
    "to itself": "to itself",
    "to the root": ".",
}


@pytest.fixture
def linked(root: Path) -> Path:
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "theirs").write_bytes(b"theirs")
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
    (root / "a" / "b" / "up").symlink_to("..")
    return root


BROKEN_LINKS = {
    "out": "a symbolic link that leads out of the folder …",
    "to nothing": "a symbolic link: no such file or directory …",
    "to itself": "a symbolic link: too many levels of symbolic links …",
}


def test_links_that_are_not_followed(linked: Path) -> None:
    plain = "a symbolic link, and links are not followed"
    expected = {
        **FILES,
        **BROKEN_LINKS,
        **dict.fromkeys(["to file", "to folder", "to the root", "a/b/up"], plain),
    }
    assert survey(linked) == expected
    for name in ("to folder", "to folder/file", "to folder/missing/deeper"):
        assert survey(linked, name) == {"to folder": plain}
    assert survey(linked, "out/theirs") == {"out": BROKEN_LINKS["out"]}


def test_links_that_are_followed(linked: Path) -> None:
    loop = "symbolic links lead from this folder back to it"
    assert survey(linked, follow_links=True) == {
        **FILES,
        **BROKEN_LINKS,
        "to file": "file",
        "to folder/file": "file",
        "to folder/up/file": "file",
        "to folder/up/b": loop,
        "to the root": loop,
        "a/b/up": loop,
    }
    assert survey(linked, "to folder/file", follow_links=True) == {"to folder/file": "file"}
    assert survey(linked, "to file", follow_links=True) == {"to file": "file"}
    assert survey(linked, "out/theirs", follow_links=True) == {"out": BROKEN_LINKS["out"]}


def test_the_same_file_by_a_link_has_the_size_of_its_target(linked: Path) -> None:
    with LocalBackend(linked, follow_links=True) as storage:
        [item] = storage.survey("to file")
        assert item == storage.stat("to file")
        assert isinstance(item, FileStat)
        assert item.size == len(b"a/file")


def test_prefixes(root: Path) -> None:
    assert survey(root, "a") == {"a/b/file": "file", "a/file": "file"}
    assert survey(root, "a/") == survey(root, "a")
    assert survey(root, "a/b") == {"a/b/file": "file"}
    assert survey(root, "top") == {"top": "file"}
    assert survey(root, "top/below") == {}
    assert survey(root, "missing") == survey(root, "missing/deeper") == {}


def test_a_folder_that_vanishes_yields_nothing_more(root: Path) -> None:
    with LocalBackend(root) as storage:
        items = storage.survey()
        first = next(items)
        assert first.name == "top"
        shutil.rmtree(root / "a")
        assert list(items) == []


def test_a_root_that_vanishes_is_not_an_empty_one(root: Path) -> None:
    with LocalBackend(root) as storage:
        items = storage.survey()
        next(items)
        root.rename(root.with_name("elsewhere"))
        for listing in (items, storage.survey(), storage.list_files(), storage.list_stats()):
            with pytest.raises(NotAStorageError):
                list(listing)


def test_listing_is_lazy(root: Path) -> None:
    with LocalBackend(root) as storage:
        names = iter(storage.list_files())
        assert next(names) == "a/b/file"
        shutil.rmtree(root / "a")
        (root / "z").mkdir()
        assert list(names) == ["a/file", "top"], "the folder was read already"


def test_deep_trees(tmp_path: Path) -> None:
    name = "/".join(["d" * 50] * 200) + "/file"  # longer than PATH_MAX, so only openat reaches it
    with LocalBackend(tmp_path / "root") as storage:
        storage.make_folder(name.rpartition("/")[0])
        with (tmp_path / "file").open("wb+") as content:
            assert storage.save(name, content) == name
        assert [item.name for item in storage.survey()] == [name]
        assert list(storage.list_files()) == [name]
        storage.delete(name)
    assert list((tmp_path / "root").iterdir()) == []


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Yield a folder of a user who is not root, as root may read everything."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() != 0:
        yield folder
    else:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(0)
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)


def test_folders_without_rights(unprivileged: Path) -> None:
    root = unprivileged
    for name in ("closed", "listed", "open"):
        (root / name).mkdir()
        (root / name / "file").write_bytes(b"x")
    (root / "closed").chmod(0o000)
    (root / "listed").chmod(0o400)
    denied = "permission denied …"
    assert survey(root) == {"closed": denied, "listed/file": denied, "open/file": "file"}
    assert survey(root, "closed/file") == {"closed/file": denied}
    with LocalBackend(root) as storage:
        for listing in (storage.list_files(), storage.list_stats(), storage.list_files("closed")):
            with pytest.raises(FileAccessError):
                list(listing)
        for name in ("closed/file", "listed/file"):
            with pytest.raises(FileAccessError):
                storage.exists(name)
    (root / "closed").chmod(0o100)
    with LocalBackend(root) as storage:
        assert read(storage, "closed/file") == b"x", "to search is enough for reading"


def test_a_root_without_rights(unprivileged: Path) -> None:
    root = unprivileged / "root"
    root.mkdir(0o000)
    with pytest.raises(NotAStorageError, match="permission denied"):
        LocalBackend(root).__enter__()


def test_a_folder_whose_disk_fails(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def failing(
        path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        if path == "a":
            raise OSError(5, "EIO")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", failing)
    assert survey(root) == {"a": "input/output error …", "top": "file"}
