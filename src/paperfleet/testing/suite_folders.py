"""What a storage claims beyond the nine methods, for folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)
from paperfleet.model import FolderStat
from paperfleet.testing.suite_base import SuiteBase, claims, put

if TYPE_CHECKING:
    from paperfleet.storage.wrappers.base import EveryAbility
    from paperfleet.testing.bypass import Bypass


class FoldersSuite(SuiteBase):
    """See ``StorageSuite``."""

    def test_move_folder(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "move_folder")
        for name in ("a/1", "a/b/2", "a/ü #%/3", "ab/4"):
            put(able, name, name.encode())
        able.move_folder("a", "new/place")
        assert {name: bypass.read(name) for name in bypass.names()} == {
            "new/place/1": b"a/1",
            "new/place/b/2": b"a/b/2",
            "new/place/ü #%/3": "a/ü #%/3".encode(),
            "ab/4": b"ab/4",
        }
        assert not able.exists("a/1")
        assert able.exists("new/place/b/2")

    @pytest.mark.parametrize("taken", ["b/old", "b"])
    def test_move_folder_onto_something(
        self, able: EveryAbility, bypass: Bypass, taken: str
    ) -> None:
        claims(able, "move_folder")
        put(able, "a/new")
        put(able, taken)
        with pytest.raises(AlreadyExistsError):
            able.move_folder("a", "b")
        assert bypass.names() == {"a/new", taken}

    @pytest.mark.parametrize("new", ["a", "a/b", "a/new/c", "a/x/y/z"])
    def test_move_folder_into_itself(self, able: EveryAbility, bypass: Bypass, new: str) -> None:
        claims(able, "move_folder")
        put(able, "a/new")
        with pytest.raises(StorageError):
            able.move_folder("a", new)
        assert bypass.names() == {"a/new"}

    @pytest.mark.parametrize("old", ["missing", "missing/deeper", "file"])
    def test_move_of_no_folder(self, able: EveryAbility, bypass: Bypass, old: str) -> None:
        claims(able, "move_folder")
        put(able, "file")
        with pytest.raises(NotFoundError):
            able.move_folder(old, "new")
        assert bypass.names() == {"file"}

    @pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b"])
    def test_folders_have_valid_names(self, able: EveryAbility, bypass: Bypass, name: str) -> None:
        claims(able, "move_folder", "folders")
        put(able, "a/b")
        for call in (
            lambda: able.move_folder("a", name),
            lambda: able.move_folder(name, "new"),
            lambda: able.make_folder(name),
            lambda: able.remove_folder(name),
        ):
            with pytest.raises(InvalidNameError):
                call()
        assert bypass.names() == {"a/b"}

    def test_move_folder_in_the_known_state_only(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "move_folder", "folder_etags")
        put(able, "a/1")
        stale = able.folder_etag("a")
        put(able, "a/2")
        with pytest.raises(PreconditionFailedError):
            able.move_folder("a", "b", stale)
        assert bypass.names() == {"a/1", "a/2"}
        able.move_folder("a", "b", able.folder_etag("a"))
        assert bypass.names() == {"b/1", "b/2"}

    def test_make_folder(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "folders")
        able.make_folder("a/b/c")
        able.make_folder("a/b/c")
        able.make_folder("a")
        assert not able.exists("a/b/c")
        assert list(able.list_files()) == []
        put(able, "a/b/c/d")
        assert bypass.names() == {"a/b/c/d"}

    def test_make_folder_over_a_file(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "folders")
        put(able, "a", b"file")
        for name in ("a", "a/b"):
            with pytest.raises(StorageError):
                able.make_folder(name)
        assert bypass.read("a") == b"file"

    def test_remove_folder(self, able: EveryAbility) -> None:
        claims(able, "folders")
        able.make_folder("a/b")
        assert not able.remove_folder("a"), "a folder with a folder in it is not empty"
        assert able.remove_folder("a/b")
        assert able.remove_folder("a/b"), "a missing folder is gone"
        assert able.remove_folder("a")
        put(able, "a", b"the name is free")

    def test_remove_folder_spares_files(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "folders")
        put(able, "a/b/c")
        bypass.write("d/theirs", b"theirs")
        assert not able.remove_folder("a")
        assert not able.remove_folder("a/b")
        assert not able.remove_folder("d")
        assert bypass.names() == {"a/b/c", "d/theirs"}

    def test_folder_etags_change_up_to_the_root(self, able: EveryAbility) -> None:
        claims(able, "folder_etags")
        put(able, "a/b/c/file")
        put(able, "a/other/file")
        put(able, "x/y")
        for change in (
            lambda: put(able, "a/b/c/new"),
            lambda: put(able, "a/b/c/new", b"replaced"),
            lambda: able.move("a/b/c/new", "a/b/c/moved"),
            lambda: able.delete("a/b/c/moved"),
        ):
            before = {name: able.folder_etag(name) for name in ("", "a", "a/b", "a/b/c")}
            spared = {name: able.folder_etag(name) for name in ("a/other", "x")}
            change()
            after = {name: able.folder_etag(name) for name in before}
            assert [name for name in before if before[name] == after[name]] == []
            assert spared == {name: able.folder_etag(name) for name in spared}

    def test_folder_etags_rest_while_nothing_changes(self, able: EveryAbility) -> None:
        claims(able, "folder_etags")
        put(able, "a/b")
        before = able.folder_etag()
        list(able.list_files())
        assert able.exists("a/b")
        assert able.folder_etag() == before

    def test_list_folder(self, able: EveryAbility) -> None:
        claims(able, "folder_etags", "stat")
        put(able, "a/b/c", b"123")
        put(able, "a/d", b"12")
        put(able, "e", b"1")
        listing = able.list_folder("a")
        assert listing.etag == able.folder_etag("a")
        assert listing.files == (able.stat("a/d"),)
        assert [(folder.name, folder.etag) for folder in listing.folders] == [
            ("a/b", able.folder_etag("a/b"))
        ]
        root = able.list_folder()
        assert root.etag == able.folder_etag()
        assert [file.name for file in root.files] == ["e"]
        assert [folder.name for folder in root.folders] == ["a"]

    def test_list_tree(self, able: EveryAbility) -> None:
        claims(able, "folder_etags", "stat")
        for name in ("a/b/c", "a/d", "e"):
            put(able, name, name.encode())
        folders = [FolderStat(name, able.folder_etag(name)) for name in ("", "a", "a/b")]
        files = [able.stat(name) for name in ("a/b/c", "a/d", "e")]
        assert sorted(able.list_tree()) == sorted([*folders, *files])
        assert {one.name for one in able.list_tree("a/")} == {"a", "a/b", "a/b/c", "a/d"}
        with pytest.raises(NotFoundError):
            list(able.list_tree("missing"))

    def test_missing_folder_has_no_etag(self, able: EveryAbility) -> None:
        claims(able, "folder_etags")
        for call in (able.folder_etag, able.list_folder):
            with pytest.raises(NotFoundError):
                call("missing")
