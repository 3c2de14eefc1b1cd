"""The storage in memory is strict with its callers, so that tests find what they do wrong."""

from __future__ import annotations

import io

import pytest

from paperfleet.errors import InvalidNameError
from paperfleet.model import ANYTHING, NINE_METHODS, Capabilities, Obstacle
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.names import RESERVED
from paperfleet.testing.suite_base import get, put, upload


def test_operations_belong_into_a_block() -> None:
    storage = MemoryBackend()
    with pytest.raises(RuntimeError, match="block"):
        storage.exists("a")
    with storage, storage:
        assert not storage.exists("a")
    with pytest.raises(RuntimeError, match="block"):
        list(storage.list_files())


def test_abilities_that_are_not_claimed_fail() -> None:
    with MemoryBackend(capabilities=NINE_METHODS) as storage:
        put(storage, "a")
        for call in (
            lambda: storage.stat("a"),
            storage.list_stats,
            storage.survey,
            lambda: storage.save_with("a", upload(b"x"), ANYTHING),
            lambda: storage.save_batch([]),
            lambda: storage.delete_if("a", "etag"),
            lambda: storage.move_folder("a", "b"),
            lambda: storage.make_folder("b"),
            lambda: storage.remove_folder("b"),
            storage.folder_etag,
            storage.list_folder,
            lambda: storage.content_sha256("a"),
            lambda: storage.sweep(0),
        ):
            with pytest.raises(NotImplementedError):
                call()
        assert storage.size("a") == 7
    assert storage.capabilities == NINE_METHODS


def test_somebody_else_changes_files() -> None:
    storage = MemoryBackend()
    storage.files["a/b"] = b"theirs"
    with storage:
        assert get(storage, "a/b") == b"theirs"
        before = storage.folder_etag()
        storage.files["a/b"] = b"changed"
        assert storage.folder_etag() != before
        assert "a/b" in storage.files
        del storage.files["a/b"]
        assert not storage.exists("a/b")
    with pytest.raises(KeyError):
        storage.files.pop("a/b")
    with pytest.raises(KeyError):
        del storage.files["a/b"]
    assert dict(storage.files) == {}


def test_names_in_another_form_or_case_are_the_same_file() -> None:
    with MemoryBackend(unicode_form="NFC", case_sensitive=False) as storage:
        assert put(storage, "Ordner/e\u0301") == "Ordner/é"
        assert put(storage, "ordner/É", b"new") == "Ordner/é"
        storage.move("ORDNER/é", "ordner/x")
        assert list(storage.list_files("oRdNeR")) == ["Ordner/x"]
        storage.move_folder("ORDNER", "Ablage")
        assert dict(storage.files) == {"Ablage/x": b"new"}
        storage.delete("ablage/X")
        assert storage.remove_folder("ABLAGE")


def test_without_folders_a_folder_goes_with_its_last_file() -> None:
    with MemoryBackend(capabilities=Capabilities(stat=True)) as storage:
        put(storage, "a/b/c")
        storage.delete("a/b/c")
        put(storage, "a", b"a file now")
    with MemoryBackend() as storage:
        put(storage, "a/b/c")
        storage.delete("a/b/c")
        assert not storage.remove_folder("a")
        assert storage.remove_folder("a/b")


def test_temporary_names() -> None:
    with MemoryBackend() as storage:
        with pytest.raises(InvalidNameError):
            put(storage, "a/.paperfleet-x")
        put(storage, "a/b", b"content")
        storage.move("a/b", "a/.paperfleet-x")
        assert list(storage.list_files()) == []
        assert list(storage.survey()) == [Obstacle("a/.paperfleet-x", RESERVED)]
        assert storage.list_folder("a").files == ()
        storage.move("a/.paperfleet-x", "c")
        assert get(storage, "c") == b"content"


def test_time_is_forgotten_where_that_is_not_claimed() -> None:
    forgetful = Capabilities(stat=True, save_with=True)
    with MemoryBackend(capabilities=forgetful) as storage:
        assert storage.save_with("a", upload(b"x", 5), ANYTHING).modified_ns != 5
    with MemoryBackend() as storage:
        assert storage.save_with("a", upload(b"x", 5), ANYTHING).modified_ns == 5


def test_versions_and_ids() -> None:
    with MemoryBackend() as storage:
        put(storage, "a")
        first = storage.stat("a")
        storage.save("a", io.BytesIO(b"content"))
        second = storage.stat("a")
        assert first.etag != second.etag
        assert first.file_id == second.file_id
        storage.move("a", "b")
        assert storage.stat("b") == second._replace(name="b")
