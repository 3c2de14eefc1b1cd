"""Errors of the operating system become ours, with the name, the storage and what to do."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from typing import IO, TYPE_CHECKING, cast

import pytest

from paperfleet import errors
from paperfleet.errors import (
    AlreadyExistsError,
    ConfigurationError,
    FileAccessError,
    InvalidNameError,
    NameRefusedError,
    NotAStorageError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.model import ANYTHING, Capabilities, Upload
from paperfleet.storage.local import root as localcase
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.local.root import TranslatedFile
from paperfleet.storage.oserrors import translate, translate_root, translated

if TYPE_CHECKING:
    from pathlib import Path

MEANINGS = """
ENOENT NotFoundError
ENOTDIR NotFoundError
EISDIR AlreadyExistsError
EEXIST AlreadyExistsError
ENOTEMPTY AlreadyExistsError
EACCES FileAccessError
EPERM FileAccessError
EROFS FileAccessError
ENOSPC QuotaExceededError
EDQUOT QuotaExceededError
EFBIG TooLargeError
ENAMETOOLONG NameRefusedError
EILSEQ NameRefusedError
EINVAL NameRefusedError
ELOOP InvalidNameError
EBUSY LockedError
EAGAIN LockedError
ETXTBSY LockedError
EIO StorageError
ESTALE UnavailableError
ENODEV UnavailableError
ENOTCONN UnavailableError
ETIMEDOUT UnavailableError
EHOSTDOWN UnavailableError
EMFILE UnavailableError
ENOMEM UnavailableError
EDEADLK StorageError
"""


@pytest.mark.parametrize("row", MEANINGS.split("\n")[1:-1])
def test_meanings(row: str) -> None:
    symbol, expected = row.split()
    number: int = getattr(errno, symbol)
    error = translate(OSError(number, "text", "/srv/secret"), "open", "a/b", "file:///srv")
    assert type(error) is getattr(errors, expected)
    assert (error.operation, error.name, error.storage) == ("open", "a/b", "file:///srv")
    assert "/srv/secret" not in str(error)
    assert isinstance(error, OSError)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOENT, NotAStorageError),
        (errno.ENOTDIR, NotAStorageError),
        (errno.EACCES, NotAStorageError),
        (errno.EIO, UnavailableError),
        (errno.ESTALE, UnavailableError),
        (errno.ENOTCONN, UnavailableError),
    ],
)
def test_meanings_for_the_root(number: int, expected: type[StorageError]) -> None:
    error = translate_root(OSError(number, "text"), "file:///srv")
    assert type(error) is expected
    assert error.hint


def test_ours_pass_as_they_are() -> None:
    ours = AlreadyExistsError("reason")
    with pytest.raises(AlreadyExistsError) as caught, translated("open", "a", "memory:"):
        raise ours
    assert caught.value is ours


def test_reading_errors_are_ours() -> None:
    descriptor = os.open("/proc/self/mem", os.O_RDONLY)  # its first page cannot be read: EIO
    with io.BufferedReader(TranslatedFile(descriptor, "a", "file:///srv")) as stream:
        for size in (-1, 10, 1 << 20):
            with pytest.raises(StorageError, match="read 'a' on file:///srv: input/output error"):
                stream.read(size)


def test_errors_of_the_content_are_not_ours(tmp_path: Path) -> None:
    class Content:
        def read(self, _size: int) -> bytes:
            raise PermissionError(errno.EACCES, "the source is closed")

    content = cast("IO[bytes]", Content())
    with LocalBackend(tmp_path / "root") as storage:
        with pytest.raises(PermissionError) as caught:
            storage.save("a", content)
        assert not isinstance(caught.value, StorageError)

        def refuse() -> IO[bytes]:
            raise PermissionError(errno.EACCES, "the source is closed")

        with pytest.raises(PermissionError) as caught:
            storage.save_with("a", Upload(refuse, 1), ANYTHING)
        assert not isinstance(caught.value, StorageError)
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 256, "ü" * 128, "a/" + "x" * 300 + "/b"])
def test_too_long_names_are_refused(tmp_path: Path, name: str) -> None:
    with LocalBackend(tmp_path) as storage:
        with pytest.raises(NameRefusedError) as caught:
            storage.save(name, io.BytesIO(b"x"))
        assert caught.value.name == name
        assert "long" in str(caught.value)
        assert list(storage.list_files()) == []


@pytest.mark.parametrize("name", ["\udcff", chr(0xD800), "a\udcff/b"])
def test_names_that_are_not_text_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "old").write_bytes(b"x")
    with LocalBackend(tmp_path) as storage:
        for call in (
            lambda: storage.save(name, io.BytesIO(b"x")),
            lambda: storage.move("old", name),
            lambda: storage.make_folder(name),
        ):
            with pytest.raises(NameRefusedError):
                call()
        with pytest.raises(StorageError):
            storage.open(name)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("name", [".paperfleet-x", "a/.paperfleet-save-1"])
def test_names_of_unfinished_files_are_not_saved(tmp_path: Path, name: str) -> None:
    with LocalBackend(tmp_path) as storage, pytest.raises(InvalidNameError):
        storage.save(name, io.BytesIO(b"x"))
    assert list(tmp_path.iterdir()) == []


def test_reading_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with LocalBackend(tmp_path, read_only=True) as storage:
        assert storage.capabilities == Capabilities(
            stat=True,
            list_stats=True,
            survey=True,
            content_hash=True,
            free_space=True,
            checks=True,
            keeps_modified=True,
        )
        assert storage.size("a") == 1
        for call in (
            lambda: storage.save("b", io.BytesIO(b"x")),
            lambda: storage.save_with("b", Upload(lambda: io.BytesIO(b"x"), 1), ANYTHING),
            lambda: storage.delete("a"),
            lambda: storage.delete_if("a", "x"),
            lambda: storage.move("a", "b"),
            lambda: storage.move_folder("a", "b"),
            lambda: storage.make_folder("b"),
            lambda: storage.remove_folder("b"),
            lambda: storage.sweep(0),
        ):
            with pytest.raises(FileAccessError, match="reading only"):
                call()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_root_that_is_missing(tmp_path: Path) -> None:
    for storage in (
        LocalBackend(tmp_path / "missing", create=False),
        LocalBackend(tmp_path / "missing", read_only=True),
    ):
        assert storage.capabilities.case_sensitive
        with pytest.raises(NotAStorageError, match="mounted"):
            storage.__enter__()
    assert not (tmp_path / "missing").exists()


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for create in (True, False):
        with pytest.raises(StorageError):
            LocalBackend(tmp_path / "file", create=create).__enter__()
    with pytest.raises(StorageError):
        LocalBackend(tmp_path / "file" / "below").__enter__()
    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_root_that_went_away_is_not_made_again(tmp_path: Path) -> None:
    root = tmp_path / "a" / "root"
    storage = LocalBackend(root)
    with storage:
        storage.save("x", io.BytesIO(b"x"))
        root.rename(tmp_path / "elsewhere")
        for call in (
            lambda: storage.save("y", io.BytesIO(b"y")),
            lambda: storage.exists("x"),
            lambda: storage.make_folder("y"),
            lambda: storage.stat("x"),
        ):
            with pytest.raises(NotAStorageError):
                call()
    with pytest.raises(NotAStorageError):
        storage.__enter__()
    assert not root.exists()


def test_folders_have_no_etags(tmp_path: Path) -> None:
    with LocalBackend(tmp_path) as storage:
        storage.make_folder("a")
        with pytest.raises(PreconditionFailedError):
            storage.move_folder("a", "b", "etag")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_label_is_a_url(tmp_path: Path) -> None:
    storage = LocalBackend(tmp_path / "Ablage ü#1")
    assert storage.label == f"file://{tmp_path}/Ablage%20%C3%BC%231"
    assert storage.root == tmp_path / "Ablage ü#1"


def test_a_relative_root_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalBackend("root") as storage:
        monkeypatch.chdir("/")
        storage.save("a", io.BytesIO(b"x"))
    assert (tmp_path / "root" / "a").read_bytes() == b"x"


def test_other_encodings_of_names_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(ConfigurationError, match="PYTHONUTF8=1"):
        LocalBackend(tmp_path)


@pytest.mark.parametrize("there", [[], ["Letter.pdf"], ["2024", "ä", "file"]])
@pytest.mark.parametrize("apart", [True, False])
def test_telling_case_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], apart: bool
) -> None:
    for name in there:
        (tmp_path / name).write_bytes(b"x")
    if not apart:

        def fold(_folder: int, last: str) -> os.stat_result | None:
            same = [path for path in tmp_path.iterdir() if path.name.lower() == last.lower()]
            return same[0].stat() if same else None

        monkeypatch.setattr(localcase, "look", fold)
    assert LocalBackend(tmp_path).capabilities.case_sensitive is apart
    assert {path.name for path in tmp_path.iterdir()} == set(there)


def test_errors_show_no_surprises(tmp_path: Path) -> None:
    with LocalBackend(tmp_path) as storage, pytest.raises(StorageError) as caught:
        storage.open("missing")
    text = "".join(traceback.format_exception_only(caught.value))
    assert f"open 'missing' on file://{tmp_path}: no such file or directory" in text
