"""Listing: complete, sorted, lazy, by folder."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING

import pytest

from paperfleet.testing.suite_base import SuiteBase, put

if TYPE_CHECKING:
    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.testing.bypass import Bypass

TREE = [
    "B",
    "a!/x",
    "a-b",
    "a.txt",
    "a/b/x",
    "a/b.c",
    "a/x",
    "a0/x",
    "aa",
    "ab/x",
    "z",
    "ä",
    "\uff5e",
    "\U0001f4c4",
]
"""Folder and file names whose order is easy to get wrong."""


class ListingSuite(SuiteBase):
    """See ``StorageSuite``."""

    def test_empty_storage(self, store: DocumentStorage) -> None:
        assert list(store.list_files()) == []

    def test_sorted_by_code_point(self, store: DocumentStorage, bypass: Bypass) -> None:
        for name in reversed(TREE):
            bypass.write(name, b"x")
        assert list(store.list_files()) == sorted(TREE)

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", sorted(TREE)),
            ("a", ["a/b.c", "a/b/x", "a/x"]),
            ("a/", ["a/b.c", "a/b/x", "a/x"]),
            ("a/b", ["a/b/x"]),
            ("a/b/", ["a/b/x"]),
            ("ab", ["ab/x"]),
            ("missing", []),
            ("missing/deeper/", []),
            ("a/b/x/", []),
        ],
    )
    def test_prefix_is_a_folder(
        self, store: DocumentStorage, bypass: Bypass, prefix: str, expected: list[str]
    ) -> None:
        for name in TREE:
            bypass.write(name, b"x")
        assert list(store.list_files(prefix)) == expected

    def test_prefix_of_a_file_gives_nothing(self, store: DocumentStorage) -> None:
        put(store, "a/b")
        assert list(store.list_files("a/b")) == []

    def test_lazy(self, store: DocumentStorage) -> None:
        put(store, "a")
        listing = store.list_files()
        assert not isinstance(listing, Sized), "a listing of all names must not be in memory"
        assert next(iter(listing)) == "a"

    def test_abandoned_listing_does_not_disturb(self, store: DocumentStorage) -> None:
        for name in ("a/1", "b/2", "c/3"):
            put(store, name)
        assert next(iter(store.list_files())) == "a/1"
        assert list(store.list_files()) == ["a/1", "b/2", "c/3"]

    def test_many_files(self, store: DocumentStorage, bypass: Bypass) -> None:
        names = [f"folder {number % 3}/file {number:04}.pdf" for number in range(1200)]
        for name in names:
            bypass.write(name, b"x")
        assert list(store.list_files()) == sorted(names)

    def test_follows_every_change(self, store: DocumentStorage) -> None:
        put(store, "a/1")
        put(store, "a/2")
        assert list(store.list_files("a")) == ["a/1", "a/2"]
        store.move("a/1", "b/1")
        assert list(store.list_files("a")) == ["a/2"]
        store.delete("a/2")
        assert list(store.list_files()) == ["b/1"]
