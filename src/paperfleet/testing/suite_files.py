"""Saving, reading, deleting one file."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import NotFoundError, StorageError
from paperfleet.storage.full import full
from paperfleet.testing.suite_base import (
    Broken,
    BrokenContentError,
    OneWay,
    SuiteBase,
    as_content,
    get,
    put,
)

if TYPE_CHECKING:
    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.testing.bypass import Bypass

MEGABYTES = random.Random(8).randbytes(8_000_000)  # noqa: S311 (test data, no secret)
MISSING = ["missing", "folder/missing", "folder/deeper/missing", "file/below"]
"""Names of nothing, once ``folder/other`` and ``file`` are there."""


class FilesSuite(SuiteBase):
    """See ``StorageSuite``."""

    def test_save_stores_the_bytes_and_returns_the_name(
        self, store: DocumentStorage, bypass: Bypass
    ) -> None:
        assert put(store, "2024/acme/invoice.pdf", b"bytes") == "2024/acme/invoice.pdf"
        assert bypass.names() == {"2024/acme/invoice.pdf"}
        assert bypass.read("2024/acme/invoice.pdf") == b"bytes"

    def test_open_reads_what_others_wrote(self, store: DocumentStorage, bypass: Bypass) -> None:
        bypass.write("a/b", b"theirs")
        assert get(store, "a/b") == b"theirs"
        assert store.size("a/b") == 6
        assert store.exists("a/b")

    def test_stream_is_binary_and_seekable(self, store: DocumentStorage, bypass: Bypass) -> None:
        bypass.write("a", b"0123456789")
        with store.open("a") as stream:
            assert stream.readable()
            assert stream.seekable()
            assert stream.read(3) == b"012"
            assert stream.tell() == 3
            assert stream.seek(-2, io.SEEK_END) == 8
            assert stream.read() == b"89"
            assert stream.read() == b""
            assert stream.seek(1) == 1
            assert stream.read(1) == b"1"
        assert stream.closed

    def test_two_streams_are_independent(self, store: DocumentStorage, bypass: Bypass) -> None:
        bypass.write("a", b"0123456789")
        with store.open("a") as one, store.open("a") as two:
            assert one.read(5) == b"01234"
            assert two.read(2) == b"01"
            assert one.read(1) == b"5"

    def test_save_replaces(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"the first and longer content")
        assert put(store, "a", b"second") == "a"
        assert bypass.names() == {"a"}
        assert bypass.read("a") == get(store, "a") == b"second"
        assert store.size("a") == 6

    def test_save_replaces_what_others_wrote(self, store: DocumentStorage, bypass: Bypass) -> None:
        bypass.write("a", b"theirs")
        put(store, "a", b"ours")
        assert bypass.read("a") == b"ours"

    def test_empty_file(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "empty", b"")
        assert bypass.read("empty") == get(store, "empty") == b""
        assert store.size("empty") == 0
        assert store.exists("empty")
        assert list(store.list_files()) == ["empty"]

    def test_large_file(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "large", MEGABYTES)
        assert bypass.read("large") == MEGABYTES
        assert get(store, "large") == MEGABYTES
        assert store.size("large") == len(MEGABYTES)

    @pytest.mark.parametrize("size", [0, 1, 5000, 3_000_000])
    def test_save_from_content_that_cannot_be_rewound(
        self, store: DocumentStorage, bypass: Bypass, size: int
    ) -> None:
        store.save("a", as_content(OneWay(MEGABYTES[:size])))
        assert bypass.read("a") == MEGABYTES[:size]

    def test_save_takes_what_is_left_of_the_content(
        self, store: DocumentStorage, bypass: Bypass
    ) -> None:
        content = io.BytesIO(b"read already, and the rest")
        content.seek(14)
        store.save("a", content)
        assert bypass.read("a") == b"and the rest"

    def test_save_leaves_the_content_open(self, store: DocumentStorage) -> None:
        content = io.BytesIO(b"bytes")
        store.save("a", content)
        assert not content.closed

    @pytest.mark.parametrize("size", [0, 10, 3_000_000])
    def test_broken_content_makes_no_file(
        self, store: DocumentStorage, bypass: Bypass, size: int
    ) -> None:
        with pytest.raises(BrokenContentError):
            store.save("folder/new", as_content(Broken(MEGABYTES[:size])))
        assert bypass.names() == set()
        assert not store.exists("folder/new")
        assert list(store.list_files()) == []

    @pytest.mark.parametrize("size", [0, 10, 3_000_000])
    def test_broken_content_leaves_the_old_file(
        self, store: DocumentStorage, bypass: Bypass, size: int
    ) -> None:
        put(store, "a", b"old")
        with pytest.raises(BrokenContentError):
            store.save("a", as_content(Broken(MEGABYTES[:size])))
        assert bypass.names() == {"a"}
        assert bypass.read("a") == get(store, "a") == b"old"

    def test_broken_content_can_be_saved_again(self, store: DocumentStorage) -> None:
        with pytest.raises(BrokenContentError):
            store.save("a", as_content(Broken(b"half")))
        put(store, "a", b"whole")
        assert get(store, "a") == b"whole"

    def test_delete(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "folder/a")
        put(store, "folder/b")
        store.delete("folder/a")
        assert bypass.names() == {"folder/b"}
        assert not store.exists("folder/a")

    @pytest.mark.parametrize("name", MISSING)
    def test_missing_name(self, store: DocumentStorage, bypass: Bypass, name: str) -> None:
        put(store, "folder/other")
        put(store, "file")
        for call in (store.open, store.delete, store.size):
            with pytest.raises(NotFoundError) as caught:
                call(name)
            assert isinstance(caught.value, FileNotFoundError)
            assert caught.value.name == name
        assert not store.exists(name)
        assert bypass.names() == {"folder/other", "file"}

    def test_deleted_twice(self, store: DocumentStorage) -> None:
        put(store, "a")
        store.delete("a")
        with pytest.raises(NotFoundError):
            store.delete("a")

    def test_folder_is_no_file(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a/b/c")
        assert not store.exists("a")
        assert not store.exists("a/b")
        for call in (store.open, store.delete, store.size):
            with pytest.raises(NotFoundError):
                call("a/b")
        assert bypass.names() == {"a/b/c"}

    def test_file_in_the_way_of_a_folder(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"file")
        with pytest.raises(StorageError):
            put(store, "a/b/c", b"below")
        assert bypass.names() == {"a"}
        assert bypass.read("a") == b"file"

    def test_folder_in_the_way_of_a_file(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a/b", b"below")
        with pytest.raises(StorageError):
            put(store, "a", b"file")
        assert bypass.names() == {"a/b"}
        assert bypass.read("a/b") == b"below"

    def test_file_becomes_folder_and_file_again(self, storage: DocumentStorage) -> None:
        with storage:
            put(storage, "a", b"file")
        with storage:
            storage.delete("a")
        with storage:
            put(storage, "a/b", b"below")
            assert list(storage.list_files()) == ["a/b"]
        with storage:
            storage.delete("a/b")
        with storage:
            assert full(storage).remove_folder("a")
            put(storage, "a", b"file again")
            assert get(storage, "a") == b"file again"
            assert list(storage.list_files()) == ["a"]

    def test_blocks_nest(self, storage: DocumentStorage) -> None:
        with storage:
            with storage:
                put(storage, "a", b"inner")
            assert get(storage, "a") == b"inner"
            with storage:
                storage.delete("a")
            assert not storage.exists("a")

    def test_blocks_follow_each_other(self, storage: DocumentStorage) -> None:
        for number in range(3):
            with storage:
                put(storage, f"{number}")
        with storage:
            assert list(storage.list_files()) == ["0", "1", "2"]

    def test_block_lets_exceptions_pass(self, storage: DocumentStorage) -> None:
        with pytest.raises(BrokenContentError), storage:
            put(storage, "a")
            raise BrokenContentError
        with storage:
            assert storage.exists("a")
