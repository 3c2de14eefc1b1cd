"""Symbolic links never lead a local storage out of its root."""

from __future__ import annotations

import ctypes
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import AlreadyExistsError, InvalidNameError, NotFoundError, StorageError
from paperfleet.storage.local.backend import LocalBackend

if TYPE_CHECKING:
    from collections.abc import Callable

AT_FDCWD = -100
FOLLOWING = [pytest.param(False, id="not followed"), pytest.param(True, id="followed")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a root with a file in it, beside a folder whose name begins with that of the root."""
    path = tmp_path / "root"
    (path / "inside").mkdir(parents=True)
    (path / "inside" / "file").write_bytes(b"inside")
    (tmp_path / "root-outside").mkdir()
    (tmp_path / "root-outside" / "file").write_bytes(b"outside")
    return path


@pytest.fixture
def outside(root: Path) -> Path:
    return root.with_name("root-outside")


def operations(storage: LocalBackend, name: str) -> dict[str, Callable[[], object]]:
    return {
        "open": lambda: storage.open(name),
        "save": lambda: storage.save(name, io.BytesIO(b"x")),
        "delete": lambda: storage.delete(name),
        "exists": lambda: storage.exists(name),
        "size": lambda: storage.size(name),
        "stat": lambda: storage.stat(name),
        "move from": lambda: storage.move(name, "new"),
        "move to": lambda: storage.move("inside/file", name),
        "make folder": lambda: storage.make_folder(f"{name}/x/y"),
        "move folder to": lambda: storage.move_folder("inside", f"{name}/x"),
        "hash": lambda: storage.content_sha256(name),
    }


def read(storage: LocalBackend, name: str) -> bytes:
    with storage.open(name) as stream:
        return stream.read()


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("follow_links", FOLLOWING)
@pytest.mark.parametrize("link", ["absolute", "relative", "through a link", "to the parent"])
@pytest.mark.parametrize("name", ["link/file", "link/new", "link/deep/new"])
def test_a_folder_that_leads_out(
    root: Path, outside: Path, link: str, name: str, follow_links: bool
) -> None:
    (root / "second").symlink_to("../root-outside")
    target = {
        "absolute": str(outside),
        "relative": "../root-outside",
        "through a link": "second",
        "to the parent": "..",
    }[link]
    (root / "link").symlink_to(target)
    with LocalBackend(root, follow_links=follow_links) as storage:
        for operation, call in operations(storage, name).items():
            with pytest.raises(InvalidNameError):
                pytest.fail(f"{operation} gave {call()!r}")
    assert content(outside) == {"file": b"outside"}
    assert content(root) == {"inside/file": b"inside"}


@pytest.mark.parametrize("follow_links", FOLLOWING)
@pytest.mark.parametrize("target", ["../root-outside/file", "../root-outside/new", "/etc/hostname"])
def test_a_file_that_leads_out(root: Path, outside: Path, target: str, follow_links: bool) -> None:
    (root / "link").symlink_to(target)
    with LocalBackend(root, follow_links=follow_links) as storage:
        for operation, call in operations(storage, "link").items():
            with pytest.raises(InvalidNameError):
                pytest.fail(f"{operation} gave {call()!r}")
    assert content(outside) == {"file": b"outside"}
    assert (root / "link").is_symlink()


@pytest.mark.parametrize("name", ["folder/file", "file"])
def test_links_inside_are_refused_unless_followed(root: Path, name: str) -> None:
    (root / "folder").symlink_to("inside")
    (root / "file").symlink_to("inside/file")
    with LocalBackend(root) as storage:
        for operation, call in operations(storage, name).items():
            with pytest.raises(InvalidNameError):
                pytest.fail(f"{operation} gave {call()!r}")
    assert content(root) == {"inside/file": b"inside"}


def test_a_followed_folder(root: Path) -> None:
    (root / "folder").symlink_to(root / "inside")
    with LocalBackend(root, follow_links=True) as storage:
        assert read(storage, "folder/file") == b"inside"
        storage.save("folder/new", io.BytesIO(b"new"))
        storage.save("folder/deep/new", io.BytesIO(b"deep"))
        storage.move("folder/file", "folder/moved")
    assert content(root / "inside") == {"moved": b"inside", "new": b"new", "deep/new": b"deep"}
    assert (root / "folder").is_symlink()


def test_a_followed_file_is_read_and_its_link_is_changed(root: Path) -> None:
    (root / "link").symlink_to("inside/file")
    with LocalBackend(root, follow_links=True) as storage:
        assert storage.stat("link").size == 6
        assert read(storage, "link") == b"inside"
        with pytest.raises(AlreadyExistsError):
            storage.move("inside/file", "link")
        storage.save("link", io.BytesIO(b"a file of its own"))
        assert content(root) == {"inside/file": b"inside", "link": b"a file of its own"}
        (root / "other").symlink_to("inside/file")
        storage.delete("other")
    assert content(root) == {"inside/file": b"inside", "link": b"a file of its own"}


def test_a_followed_link_to_nothing_is_no_file(root: Path) -> None:
    (root / "link").symlink_to("missing")
    (root / "loop").symlink_to("loop")
    with LocalBackend(root, follow_links=True) as storage:
        for name in ("link", "loop"):
            assert not storage.exists(name)
            with pytest.raises(NotFoundError):
                storage.open(name)


def exchange(one: Path, other: Path) -> None:
    """Let two names change places at once (renameat2(2), RENAME_EXCHANGE)."""
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    names = os.fsencode(one), os.fsencode(other)
    if rename(AT_FDCWD, names[0], AT_FDCWD, names[1], ctypes.c_uint(2)) != 0:
        pytest.skip(f"no RENAME_EXCHANGE here: {os.strerror(ctypes.get_errno())}")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "renameat2"), reason="no renameat2 here")
@pytest.mark.parametrize("follow_links", FOLLOWING)
def test_a_folder_that_becomes_a_link_meanwhile(
    root: Path, outside: Path, follow_links: bool
) -> None:
    """Exchange a folder and a link to the outside all the time: nothing ever arrives there."""
    (root / "folder").mkdir()
    (root / "link").symlink_to(outside)
    exchange(root / "folder", root / "link")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            exchange(root / "folder", root / "link")

    outcomes: set[type[BaseException] | None] = set()
    with ThreadPoolExecutor(1) as pool, LocalBackend(root, follow_links=follow_links) as storage:
        swapping = pool.submit(swap)
        try:
            for number in range(300):
                outcomes |= {
                    outcome(storage.make_folder, "folder/made"),
                    outcome(storage.move, "inside/file", f"folder/{number}"),
                    outcome(storage.delete, "folder/file"),
                }
                (root / "inside").mkdir(exist_ok=True)
                (root / "inside" / "file").write_bytes(b"inside")
        finally:
            stop.set()
        swapping.result(10)
    assert content(outside) == {"file": b"outside"}
    assert not (outside / "made").exists()
    assert outcomes >= {None, InvalidNameError}


@pytest.mark.parametrize("follow_links", FOLLOWING)
def test_what_is_refused_leaves_nothing_open(root: Path, outside: Path, follow_links: bool) -> None:
    """A service that meets such a link again and again would run out of descriptors."""
    (root / "link").symlink_to(outside)
    with LocalBackend(root, follow_links=follow_links) as storage:
        calls: list[tuple[Callable[..., object], tuple[object, ...]]] = [
            (storage.move, ("inside/file", "link/new")),
            (storage.move, ("link/file", "inside/new")),
            (storage.make_folder, ("link/made",)),
            (storage.delete, ("link/file",)),
            (storage.save, ("link/new", io.BytesIO(b"new"))),
            (storage.open, ("link/file",)),
            (storage.open, ("inside/file/below",)),
            (storage.save, ("inside/file/below", io.BytesIO(b"new"))),
            (storage.make_folder, ("inside/file/below",)),
            (storage.move, ("missing/file", "inside/new")),
        ]
        before = descriptors()
        for call, arguments in calls:
            with pytest.raises(StorageError):
                call(*arguments)
            assert descriptors() == before, f"{call.__name__} {arguments[0]}"


def descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/dev/fd").iterdir())


def outcome(call: Callable[..., object], *names: str) -> type[BaseException] | None:
    try:
        call(*names)
    except OSError as error:
        return type(error)
    return None


def test_an_open_file_gets_a_name_in_another_folder_and_none_that_is_taken(
    root: Path, outside: Path
) -> None:
    with LocalBackend(root) as storage, (outside / "file").open("rb") as given:
        assert storage.adopt(given.fileno(), "new/folder/file")
        with pytest.raises(AlreadyExistsError):
            storage.adopt(given.fileno(), "inside/file")
        (root / "link").symlink_to(outside)
        with pytest.raises(InvalidNameError):
            storage.adopt(given.fileno(), "link/other")
        assert read(storage, "new/folder/file") == b"outside"
        assert read(storage, "inside/file") == b"inside"
    assert (root / "new" / "folder" / "file").samefile(outside / "file")
    assert sorted(path.name for path in outside.iterdir()) == ["file"]


def test_where_a_folder_gives_new_files_its_group_none_is_adopted(
    root: Path, outside: Path
) -> None:
    (root / "inside").chmod(0o2755)
    with LocalBackend(root) as storage, (outside / "file").open("rb") as given:
        assert not storage.adopt(given.fileno(), "inside/new")
        assert not storage.exists("inside/new")


def test_a_file_of_another_filesystem_is_not_adopted(root: Path) -> None:
    shared = Path("/dev/shm")  # noqa: S108  # a filesystem of its own
    if not shared.is_dir() or shared.stat().st_dev == root.stat().st_dev:
        pytest.skip("there is no second filesystem")
    with TemporaryFile(dir=shared) as given, LocalBackend(root) as storage:
        assert not storage.adopt(given.fileno(), "file")
        assert not storage.exists("file")
