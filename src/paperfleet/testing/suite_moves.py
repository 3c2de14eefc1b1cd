"""Moving one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import AlreadyExistsError, NotFoundError, StorageError
from paperfleet.testing.suite_base import SuiteBase, get, put

if TYPE_CHECKING:
    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.testing.bypass import Bypass


class MovesSuite(SuiteBase):
    """See ``StorageSuite``."""

    @pytest.mark.parametrize("new", ["b", "folder/b", "new/and/deeper/b", "a2", "a.old"])
    def test_move(self, store: DocumentStorage, bypass: Bypass, new: str) -> None:
        put(store, "a", b"moved")
        put(store, "folder/other", b"other")
        store.move("a", new)
        assert bypass.names() == {new, "folder/other"}
        assert bypass.read(new) == get(store, new) == b"moved"
        assert not store.exists("a")

    def test_move_up_out_of_a_folder(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a/b/c", b"moved")
        store.move("a/b/c", "c")
        assert bypass.names() == {"c"}

    def test_move_onto_a_file_keeps_both(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"one")
        put(store, "b", b"two")
        with pytest.raises(AlreadyExistsError) as caught:
            store.move("a", "b")
        assert isinstance(caught.value, FileExistsError)
        assert {name: bypass.read(name) for name in bypass.names()} == {"a": b"one", "b": b"two"}

    def test_move_onto_a_folder_keeps_both(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"one")
        put(store, "b/c", b"two")
        with pytest.raises(StorageError):
            store.move("a", "b")
        assert {name: bypass.read(name) for name in bypass.names()} == {"a": b"one", "b/c": b"two"}

    def test_move_below_a_file_keeps_both(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"one")
        put(store, "b", b"two")
        with pytest.raises(StorageError):
            store.move("a", "b/c")
        assert {name: bypass.read(name) for name in bypass.names()} == {"a": b"one", "b": b"two"}

    def test_move_onto_itself_keeps_it(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"one")
        with pytest.raises(StorageError):
            store.move("a", "a")
        assert bypass.read("a") == b"one"

    def test_move_below_itself_keeps_it(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"one")
        with pytest.raises(StorageError):
            store.move("a", "a/b")
        assert bypass.names() == {"a"}
        assert bypass.read("a") == b"one"

    @pytest.mark.parametrize("old", ["missing", "folder/missing", "none/missing", "file/below"])
    def test_move_of_a_missing_file(self, store: DocumentStorage, bypass: Bypass, old: str) -> None:
        put(store, "folder/other")
        put(store, "file")
        with pytest.raises(NotFoundError) as caught:
            store.move(old, "new")
        assert isinstance(caught.value, FileNotFoundError)
        assert bypass.names() == {"folder/other", "file"}

    def test_move_of_a_missing_file_onto_another(
        self, store: DocumentStorage, bypass: Bypass
    ) -> None:
        put(store, "a", b"kept")
        with pytest.raises((NotFoundError, AlreadyExistsError)):
            store.move("missing", "a")
        assert bypass.read("a") == b"kept"

    def test_move_does_not_take_folders(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a/b")
        with pytest.raises(NotFoundError):
            store.move("a", "c")
        assert bypass.names() == {"a/b"}

    def test_swap_through_a_third_name(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"one")
        put(store, "b", b"two")
        store.move("a", "c")
        store.move("b", "a")
        store.move("c", "b")
        assert {name: bypass.read(name) for name in bypass.names()} == {"a": b"two", "b": b"one"}
