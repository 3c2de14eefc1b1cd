"""An ability is used where the storage has it; elsewhere the nine methods do."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest
from tests.unit.objects_memory import EVERY_KIND, memory_backend

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
)
from paperfleet.model import ABSENT, ANYTHING, NINE_METHODS, Capabilities, FileStat
from paperfleet.storage import abilities
from paperfleet.storage.fsspec_backend import FsspecBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.names import readable
from paperfleet.testing.faults import FaultyStorage
from paperfleet.testing.suite_base import get, put, upload

if TYPE_CHECKING:
    from pathlib import Path

    from paperfleet.storage.protocol import DocumentStorage

KINDS = [
    pytest.param(NINE_METHODS, id="nine methods"),
    pytest.param(MemoryBackend().capabilities, id="everything"),
]


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest) -> FaultyStorage:
    capabilities: Capabilities = request.param
    return FaultyStorage(MemoryBackend(capabilities=capabilities))


def test_stat_and_find(storage: FaultyStorage) -> None:
    with storage:
        put(storage, "a", b"123")
        assert abilities.stat(storage, "a")[:2] == ("a", 3)
        assert abilities.find(storage, "a") == abilities.stat(storage, "a")
        assert abilities.find(storage, "missing") is None
        with pytest.raises(NotFoundError):
            abilities.stat(storage, "missing")


def test_list_stats(storage: FaultyStorage) -> None:
    with storage:
        put(storage, "a/b", b"123")
        put(storage, "c", b"1")
        assert [item[:2] for item in abilities.list_stats(storage)] == [("a/b", 3), ("c", 1)]
        assert [item.name for item in abilities.list_stats(storage, "a")] == ["a/b"]


def test_what_goes_away_during_a_listing_is_left_out(storage: FaultyStorage) -> None:
    with storage:
        put(storage, "a", b"123")
        put(storage, "b", b"1")
        listing = abilities.list_stats(storage)
        first = next(listing)
        storage.delete("b" if first.name == "a" else "a")
        assert {first.name, *(item.name for item in listing)} <= {"a", "b"}
        assert len(list(abilities.list_stats(storage))) == 1


def test_save(storage: FaultyStorage) -> None:
    with storage:
        saved = abilities.save(storage, "a", upload(b"first"), ABSENT)
        assert isinstance(saved, FileStat)
        assert saved[:2] == ("a", 5)
        with pytest.raises(AlreadyExistsError):
            abilities.save(storage, "a", upload(b"second"), ABSENT)
        assert get(storage, "a") == b"first"
        assert abilities.save(storage, "a", upload(b"third!"), ANYTHING).size == 6
        wrong = upload(b"meant")._replace(open=lambda: io.BytesIO(b"other"))
        with pytest.raises(IntegrityError):
            abilities.save(storage, "b", wrong, ANYTHING)


def test_content_sha256(storage: FaultyStorage) -> None:
    with storage:
        put(storage, "a", b"content")
        assert abilities.content_sha256(storage, "a") == hashlib.sha256(b"content").hexdigest()


def test_folders(storage: FaultyStorage) -> None:
    with storage:
        abilities.make_folder(storage, "a/b")
        assert abilities.remove_folder(storage, "a/b")
        put(storage, "c/d")
        assert abilities.remove_folder(storage, "c") is not storage.capabilities.folders


def test_an_ability_is_used_where_it_is_claimed() -> None:
    storage = FaultyStorage(MemoryBackend())
    with storage:
        put(storage, "a")
        abilities.stat(storage, "a")
        list(abilities.list_stats(storage))
        abilities.content_sha256(storage, "a")
        abilities.save(storage, "b", upload(b"x"), ANYTHING)
    used = [call.operation for call in storage.calls]
    assert used == ["enter", "save", "stat", "list_stats", "content_sha256", "save_with", "exit"]


def test_labels() -> None:
    class Nameless(MemoryBackend):
        label = property()

        def __init__(self) -> None:
            """Make nothing: only its class is looked at."""

    assert abilities.label_of(MemoryBackend()) == "memory:"
    assert abilities.label_of(Nameless()) == "Nameless"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a ü/b.pdf", "a ü/b.pdf"),
        ("a\nb", "a\\nb"),
        ("\udcff", "\\udcff"),
        ("\x1b[31m", "\\x1b[31m"),
    ],
)
def test_names_for_people(name: str, shown: str) -> None:
    assert readable(name) == shown


@pytest.fixture(params=["bucket", "fsspec", "nine methods"])
def comparing(request: pytest.FixtureRequest, tmp_path: Path) -> DocumentStorage:
    """Return a storage that cannot delete under a condition."""
    if request.param == "bucket":
        return memory_backend(features=EVERY_KIND["all"])
    if request.param == "fsspec":
        return FsspecBackend(f"memory:/{tmp_path}")
    return MemoryBackend(capabilities=NINE_METHODS)


def test_what_somebody_changed_is_not_deleted_where_deletes_have_no_condition(
    comparing: DocumentStorage,
) -> None:
    with comparing as storage:
        assert not abilities.capabilities_of(storage).conditional_delete
        put(storage, "a", b"ours")
        known = abilities.stat(storage, "a")
        put(storage, "a", b"somebody's work")
        with pytest.raises(PreconditionFailedError):
            abilities.delete_unchanged(
                storage, "a", known.etag, lambda now: (now.size, now.etag) == (4, known.etag)
            )
        assert get(storage, "a") == b"somebody's work"
        now = abilities.stat(storage, "a")
        abilities.delete_unchanged(storage, "a", now.etag, lambda seen: seen.etag == now.etag)
        assert not storage.exists("a")
