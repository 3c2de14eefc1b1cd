"""What a storage claims beyond the nine methods, for files."""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)
from paperfleet.model import ABSENT, ANYTHING, BatchFile, FileStat, Precondition, Upload
from paperfleet.storage.full import full
from paperfleet.testing.suite_base import (
    Broken,
    BrokenContentError,
    SuiteBase,
    as_content,
    claims,
    get,
    put,
    upload,
)

if TYPE_CHECKING:
    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.storage.wrappers.base import EveryAbility
    from paperfleet.testing.bypass import Bypass

SECOND = 1_000_000_000
MODIFIED = 1_500_000_000 * SECOND
NEW_ETAG_WITHIN = 10.0
"""Seconds in which a change of a file has to give it another etag."""

METHODS = {
    "stat": ("stat",),
    "list_stats": ("list_stats",),
    "survey": ("survey",),
    "save_with": ("save_with",),
    "save_batch": ("save_batch",),
    "save_in_two": ("begin_save", "end_saves"),
    "conditional_delete": ("delete_if",),
    "move_folder": ("move_folder",),
    "folders": ("make_folder", "remove_folder"),
    "folder_etags": ("folder_etag", "list_folder", "list_tree"),
    "content_hash": ("content_sha256",),
    "free_space": ("free_bytes",),
    "end_requests": ("end_requests",),
    "findings": ("findings", "adopt_findings"),
    "checks": ("checks", "name_fault"),
    "sweep": ("sweep",),
    "copy": ("copy",),
    "copy_from": ("can_copy_from", "copy_from"),
    "presign": ("presigned_url",),
    "entry": ("entry",),
    "move_in_two": ("begin_move", "end_move", "leave_move"),
}


def old_etag(storage: EveryAbility, name: str) -> str:
    """Change a file until its etag is another; return the one that it had."""
    before = storage.stat(name).etag
    assert before, "conditions need etags"
    deadline = time.monotonic() + NEW_ETAG_WITHIN
    content = get(storage, name)
    while storage.stat(name).etag == before:
        assert time.monotonic() < deadline, "the etag does not change with the content"
        time.sleep(0.05)
        content += b"+"
        put(storage, name, content)
    return before


class AbilitiesSuite(SuiteBase):
    """See ``StorageSuite``."""

    def test_claims_are_true(self, store: DocumentStorage) -> None:
        claimed = {field for field, value in asdict(full(store).capabilities).items() if value}
        missing = [
            method
            for field in claimed & METHODS.keys()
            for method in METHODS[field]
            if not callable(getattr(store, method, None))
        ]
        assert missing == []
        assert full(store).label

    def test_stat(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "stat")
        used = put(able, "a/b", b"12345")
        found = able.stat(used)
        assert (found.name, found.size) == (used, 5)
        assert found == able.stat(used), "nothing changed in between"
        bypass.write("theirs", b"123")
        assert able.stat("theirs").size == 3

    @pytest.mark.parametrize("name", ["missing", "a/missing", "a", "file/below"])
    def test_stat_of_no_file(self, able: EveryAbility, name: str) -> None:
        claims(able, "stat")
        put(able, "a/b")
        put(able, "file")
        with pytest.raises(NotFoundError):
            able.stat(name)

    def test_stat_time_is_in_nanoseconds(self, able: EveryAbility) -> None:
        claims(able, "stat")
        put(able, "a")
        modified = able.stat("a").modified_ns
        if modified is None:
            pytest.skip("the storage tells no time")
        assert abs(modified - time.time_ns()) < 3600 * SECOND

    def test_entry_tells_file_folder_and_nothing_apart(self, able: EveryAbility) -> None:
        claims(able, "entry")
        # Bytes below the slash sort before what is below a folder.
        beside = [f"a{sign}{number}" for sign in " -." for number in range(5)]
        for name in ("folder/a", "b/c/d.pdf", "file", "file.pdf", *beside, "a/b"):
            put(able, name, name.encode())
        found = able.entry("file")
        assert isinstance(found, FileStat)
        assert (found.name, found.size) == ("file", 4)
        assert found.etag == able.stat("file").etag
        assert [able.entry(name) for name in ("folder", "b", "b/c", "a")] == [True] * 4
        assert [able.entry(name) for name in ("fil", "fol", "c", "b/c/d")] == [False] * 4

    def test_file_id_survives_a_move(self, able: EveryAbility) -> None:
        claims(able, "stat")
        put(able, "a")
        put(able, "other")
        before = able.stat("a").file_id
        if before is None:
            pytest.skip("the storage tells no file id")
        assert before != able.stat("other").file_id
        able.move("a", "folder/b")
        assert able.stat("folder/b").file_id == before

    def test_sha256_is_of_the_bytes(self, able: EveryAbility) -> None:
        claims(able, "stat")
        put(able, "a", b"bytes")
        assert able.stat("a").sha256 in {None, hashlib.sha256(b"bytes").hexdigest()}

    def test_list_stats(self, able: EveryAbility) -> None:
        claims(able, "list_stats")
        names = [put(able, name, name.encode()) for name in ("a/b/c", "a/d", "ab/e", "f", "ü #%.g")]
        listed = {item.name: item for item in able.list_stats()}
        assert {name: item.size for name, item in listed.items()} == {
            name: len(name.encode()) for name in names
        }
        if full(able).capabilities.stat:
            assert {name: able.stat(name)[:4] for name in names} == {
                name: item[:4] for name, item in listed.items()
            }
        assert {item.name for item in able.list_stats("a")} == {"a/b/c", "a/d"}
        assert {item.name for item in able.list_stats("a/")} == {"a/b/c", "a/d"}
        assert list(able.list_stats("missing")) == []

    def test_survey(self, able: EveryAbility) -> None:
        claims(able, "survey")
        for name in ("a/b/c", "a/d", "ab/e", "f"):
            put(able, name, name.encode())
        found = list(able.survey())
        assert all(isinstance(item, FileStat) for item in found)
        assert {item.name for item in found} == {"a/b/c", "a/d", "ab/e", "f"}
        assert {item.name for item in able.survey("a")} == {"a/b/c", "a/d"}
        assert {item.name for item in able.survey("a/d")} == {"a/d"}
        assert list(able.survey("missing")) == []
        assert list(able.survey("a/d/below")) == []
        if full(able).capabilities.stat:
            assert list(able.survey("f")) == [able.stat("f")]

    def test_save_with_returns_what_is_there(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_with")
        saved = able.save_with("new/folder/a", upload(b"bytes", MODIFIED), ANYTHING)
        assert (saved.name, saved.size) == ("new/folder/a", 5)
        assert bypass.names() == {"new/folder/a"}
        assert bypass.read("new/folder/a") == b"bytes"
        if full(able).capabilities.stat:
            now = able.stat("new/folder/a")
            assert saved.etag in {None, now.etag}
            assert saved.file_id in {None, now.file_id}

    def test_save_with_replaces(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_with")
        put(able, "a", b"the old content")
        assert able.save_with("a", upload(b"new"), ANYTHING).size == 3
        assert bypass.read("a") == b"new"
        assert able.save_with("a", upload(b""), ANYTHING).size == 0
        assert bypass.read("a") == b""

    def test_time_is_kept_to_the_second(self, able: EveryAbility) -> None:
        claims(able, "save_with", "stat")
        able.save_with("a", upload(b"bytes", MODIFIED), ANYTHING)
        claims(able, "keeps_modified")  # asked late: some learn it from the first answer
        found = able.stat("a").modified_ns
        assert found is not None
        assert found // SECOND == MODIFIED // SECOND
        able.move("a", "b")
        moved = able.stat("b").modified_ns
        assert moved == found

    def test_save_only_where_nothing_is(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_with")
        able.save_with("a", upload(b"first"), ABSENT)
        with pytest.raises(AlreadyExistsError):
            able.save_with("a", upload(b"second"), ABSENT)
        assert bypass.names() == {"a"}
        assert bypass.read("a") == b"first"

    def test_save_only_over_the_known_state(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_with", "stat")
        put(able, "a", b"first")
        stale = old_etag(able, "a")
        theirs = bypass.read("a")
        with pytest.raises(PreconditionFailedError):
            able.save_with("a", upload(b"ours"), Precondition(etag=stale))
        assert bypass.names() == {"a"}
        assert bypass.read("a") == theirs
        able.save_with("a", upload(b"ours"), Precondition(etag=able.stat("a").etag))
        assert bypass.read("a") == b"ours"

    def test_save_over_a_state_that_is_gone(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_with", "stat")
        put(able, "a", b"first")
        etag = able.stat("a").etag
        able.delete("a")
        with pytest.raises(PreconditionFailedError):
            able.save_with("a", upload(b"ours"), Precondition(etag=etag))
        assert bypass.names() == set()

    @pytest.mark.parametrize("old", [None, b"old"])
    def test_wrong_bytes_never_become_visible(
        self, able: EveryAbility, bypass: Bypass, old: bytes | None
    ) -> None:
        claims(able, "save_with")
        if old is not None:
            put(able, "a", old)
        wrong = upload(b"meant")._replace(open=lambda: io.BytesIO(b"other"))
        with pytest.raises(IntegrityError):
            able.save_with("a", wrong, ANYTHING)
        assert {name: bypass.read(name) for name in bypass.names()} == (
            {} if old is None else {"a": old}
        )

    @pytest.mark.parametrize("content", [b"shor", b"longer than announced"])
    def test_another_length_never_becomes_visible(
        self, able: EveryAbility, bypass: Bypass, content: bytes
    ) -> None:
        claims(able, "save_with")
        put(able, "a", b"old")
        with pytest.raises(StorageError):
            able.save_with("a", Upload(lambda: io.BytesIO(content), 5), ANYTHING)
        assert {name: bypass.read(name) for name in bypass.names()} == {"a": b"old"}

    def test_broken_upload_leaves_the_old_file(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_with")
        put(able, "a", b"old")
        broken = Upload(lambda: as_content(Broken(b"half")), 8)
        with pytest.raises(BrokenContentError):
            able.save_with("a", broken, ANYTHING)
        assert {name: bypass.read(name) for name in bypass.names()} == {"a": b"old"}

    def test_delete_only_the_known_state(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "conditional_delete", "stat")
        put(able, "a", b"first")
        stale = old_etag(able, "a")
        with pytest.raises(PreconditionFailedError):
            able.delete_if("a", stale)
        assert bypass.names() == {"a"}
        current = able.stat("a").etag
        assert current
        able.delete_if("a", current)
        assert bypass.names() == set()
        with pytest.raises((NotFoundError, PreconditionFailedError)):
            able.delete_if("a", current)

    def test_free_bytes(self, able: EveryAbility) -> None:
        claims(able, "free_space")
        free = able.free_bytes()
        assert free is None or free > 0

    def test_content_sha256(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "content_hash")
        bypass.write("theirs", b"theirs")
        assert able.content_sha256("theirs") == hashlib.sha256(b"theirs").hexdigest()
        put(able, "a/ü", b"ours")
        assert able.content_sha256("a/ü") == hashlib.sha256(b"ours").hexdigest()
        for missing in ("missing", "a"):
            with pytest.raises(NotFoundError):
                able.content_sha256(missing)

    def test_save_in_two(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_in_two")
        put(able, "folder/old", b"old")
        names = ["folder/one", "folder/ü #%", "three", "folder/four"]
        begun = [able.begin_save(n, upload(n.encode(), MODIFIED), ABSENT) for n in names]
        left = [one for one in begun if not isinstance(one, FileStat)]
        seen = able.end_saves(left)
        stored = [one for one in (*begun, *seen) if isinstance(one, FileStat)]
        assert sorted(one.name for one in stored) == sorted(names)
        for one in stored:
            assert one._replace(sha256=None) == able.stat(one.name)
            assert bypass.read(one.name) == one.name.encode()
        with pytest.raises(AlreadyExistsError):
            able.begin_save("folder/old", upload(b"new"), ABSENT)
        assert bypass.read("folder/old") == b"old"
        assert able.end_saves([]) == []

    def test_save_batch(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_batch")
        put(able, "folder/old", b"old")
        files = [
            BatchFile(f"folder/{name}", name.encode(), MODIFIED)
            for name in ("old", "new", "ü #%", "")
            if name
        ]
        results = able.save_batch(files)
        assert [isinstance(result, FileStat) for result in results] == [True] * 3
        assert {name: bypass.read(name) for name in bypass.names()} == {
            file.name: file.content for file in files
        }
        sizes = [result.size for result in results if isinstance(result, FileStat)]
        assert sizes == [len(file.content) for file in files]

    def test_save_batch_tells_of_each_file(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "save_batch")
        files = [BatchFile(name, b"x", None) for name in ("one", "no folder/two", "three")]
        results = able.save_batch(files)
        assert len(results) == 3
        assert isinstance(results[1], StorageError)
        good = {
            file.name
            for file, result in zip(files, results, strict=True)
            if isinstance(result, FileStat)
        }
        assert bypass.names() == good
        assert able.save_batch([]) == []

    def test_sweep_takes_no_document(self, able: EveryAbility, bypass: Bypass) -> None:
        claims(able, "sweep")
        able.save_with("folder/old", upload(b"old", MODIFIED), ANYTHING)
        put(able, "new")
        assert able.sweep(0) == 0
        assert bypass.names() == {"folder/old", "new"}
