"""An ability is used where the storage has it; elsewhere the nine methods do."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Self

import pytest
from tests.unit.objects_memory import EVERY_KIND, memory_backend

from paperfleet.errors import (
    AlreadyExistsError,
    FileAccessError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
)
from paperfleet.model import ABSENT, ANYTHING, NINE_METHODS, Capabilities, FileStat, Obstacle
from paperfleet.storage.apartness import local_root
from paperfleet.storage.fsspec_backend import FsspecBackend
from paperfleet.storage.full import FullStorage, full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.names import readable
from paperfleet.storage.wrappers.fenced import Fenced
from paperfleet.storage.wrappers.prefixed import Prefixed
from paperfleet.storage.wrappers.retrying import Retrying
from paperfleet.testing.faults import FaultyStorage
from paperfleet.testing.suite_base import get, put, upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from paperfleet.storage.protocol import DocumentStorage

KINDS = [
    pytest.param(NINE_METHODS, id="nine methods"),
    pytest.param(MemoryBackend().capabilities, id="everything"),
]


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest) -> FullStorage:
    capabilities: Capabilities = request.param
    return full(MemoryBackend(capabilities=capabilities))


def test_stat_and_find(storage: FullStorage) -> None:
    with storage:
        put(storage, "a", b"123")
        assert storage.stat("a")[:2] == ("a", 3)
        assert storage.find("a") == storage.stat("a")
        assert storage.find("missing") is None
        with pytest.raises(NotFoundError):
            storage.stat("missing")


def test_list_stats(storage: FullStorage) -> None:
    with storage:
        put(storage, "a/b", b"123")
        put(storage, "c", b"1")
        assert [item[:2] for item in storage.list_stats()] == [("a/b", 3), ("c", 1)]
        assert [item.name for item in storage.list_stats("a")] == ["a/b"]


def test_what_goes_away_during_a_listing_is_left_out(storage: FullStorage) -> None:
    with storage:
        put(storage, "a", b"123")
        put(storage, "b", b"1")
        listing = storage.list_stats()
        first = next(listing)
        storage.delete("b" if first.name == "a" else "a")
        assert {first.name, *(item.name for item in listing)} <= {"a", "b"}
        assert len(list(storage.list_stats())) == 1


def test_save(storage: FullStorage) -> None:
    with storage:
        saved = storage.save_with("a", upload(b"first"), ABSENT)
        assert isinstance(saved, FileStat)
        assert saved[:2] == ("a", 5)
        with pytest.raises(AlreadyExistsError):
            storage.save_with("a", upload(b"second"), ABSENT)
        assert get(storage, "a") == b"first"
        assert storage.save_with("a", upload(b"third!"), ANYTHING).size == 6
        wrong = upload(b"meant")._replace(open=lambda: io.BytesIO(b"other"))
        with pytest.raises(IntegrityError):
            storage.save_with("b", wrong, ANYTHING)


def test_content_sha256(storage: FullStorage) -> None:
    with storage:
        put(storage, "a", b"content")
        assert storage.content_sha256("a") == hashlib.sha256(b"content").hexdigest()


def test_folders(storage: FullStorage) -> None:
    with storage:
        storage.make_folder("a/b")
        assert storage.remove_folder("a/b")
        put(storage, "c/d")
        assert storage.remove_folder("c") is not storage.capabilities.folders


def test_an_ability_is_used_where_it_is_claimed() -> None:
    faulty = FaultyStorage(MemoryBackend())
    with full(faulty) as storage:
        put(storage, "a")
        storage.stat("a")
        list(storage.list_stats())
        storage.content_sha256("a")
        storage.save_with("b", upload(b"x"), ANYTHING)
    used = [call.operation for call in faulty.calls]
    assert used == ["enter", "save", "stat", "list_stats", "content_sha256", "save_with", "exit"]


def test_labels() -> None:
    class Nameless(MemoryBackend):
        label = property()

        def __init__(self) -> None:
            """Make nothing: only its class is looked at."""

    assert full(MemoryBackend()).label == "memory:"
    assert full(Nameless()).label == "Nameless"


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
    with full(comparing) as storage:
        assert not storage.capabilities.conditional_delete
        put(storage, "a", b"ours")
        known = storage.stat("a")
        put(storage, "a", b"somebody's work")
        with pytest.raises(PreconditionFailedError):
            storage.delete_unchanged(
                "a", known.etag, lambda now: (now.size, now.etag) == (4, known.etag)
            )
        assert get(storage, "a") == b"somebody's work"
        now = storage.stat("a")
        storage.delete_unchanged("a", now.etag, lambda seen: seen.etag == now.etag)
        assert not storage.exists("a")


class NineMethods:
    """A storage of somebody else: the nine methods, and not one attribute more."""

    def __init__(self) -> None:
        self._memory = MemoryBackend(capabilities=NINE_METHODS)

    def __enter__(self) -> Self:
        self._memory.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._memory.__exit__(exc_type, exc_val, exc_tb)

    def open(self, name: str) -> IO[bytes]:
        return self._memory.open(name)

    def save(self, name: str, content: IO[bytes]) -> str:
        return self._memory.save(name, content)

    def delete(self, name: str) -> None:
        self._memory.delete(name)

    def exists(self, name: str) -> bool:
        return self._memory.exists(name)

    def move(self, old_name: str, new_name: str) -> None:
        self._memory.move(old_name, new_name)

    def list_files(self, prefix: str = "") -> Iterable[str]:
        return self._memory.list_files(prefix)

    def size(self, name: str) -> int:
        return self._memory.size(name)


def wrapped(storage: DocumentStorage) -> DocumentStorage:
    return Prefixed(Retrying(Fenced(storage, lambda: None)), "folder")


@pytest.mark.parametrize("around", [lambda storage: storage, wrapped], ids=["bare", "wrapped"])
def test_nine_methods_are_enough(around: Callable[[DocumentStorage], DocumentStorage]) -> None:
    with full(around(NineMethods())) as storage:
        assert storage.capabilities == NINE_METHODS
        assert storage.label in {"NineMethods", "NineMethods/folder"}
        assert storage.save_with("a/b", upload(b"123"), ABSENT) == FileStat("a/b", 3)
        assert storage.stat("a/b") == storage.find("a/b") == storage.entry("a/b")
        assert storage.entry("a") is True
        assert storage.entry("c") is False
        assert list(storage.survey()) == list(storage.whole_survey()) == [FileStat("a/b", 3)]
        assert list(storage.survey("a")) == list(storage.survey("a/b")) == [FileStat("a/b", 3)]
        assert storage.content_sha256("a/b") == hashlib.sha256(b"123").hexdigest()
        assert (storage.free_bytes(), storage.findings()) == (None, None)
        assert not storage.keeps_versions("a/b")
        assert not storage.can_copy_from(full(NineMethods()))
        storage.make_folder("d")
        assert storage.remove_folder("a")
        storage.require_readable_above("a/x")
        storage.adopt_findings({"kept": True})
        storage.end_requests(0)
        assert storage.sweep(0) == 0
        storage.move_unchanged("a/b", "a/c", lambda seen: seen.size == 3)
        with pytest.raises(PreconditionFailedError):
            storage.delete_unchanged("a/c", None, lambda seen: seen.size == 4)
        storage.delete_unchanged("a/c", None, lambda seen: seen.size == 3)
        assert list(storage.list_files()) == []


def test_a_full_storage_stays_the_one_that_it_is() -> None:
    memory = MemoryBackend()
    storage = full(memory)
    assert full(storage) is storage
    assert storage.inner is memory
    assert local_root(full(LocalBackend("/"))) == LocalBackend("/").root


def test_what_a_storage_claims_is_asked_each_time() -> None:
    memory = MemoryBackend()
    faulty = FaultyStorage(memory)
    with full(faulty) as storage:
        storage.save_with("a", upload(b"1"), ANYTHING)
        memory.capabilities = NINE_METHODS
        assert storage.capabilities == NINE_METHODS
        storage.save_with("a", upload(b"2"), ANYTHING)
        memory.capabilities = MemoryBackend().capabilities
        storage.save_with("a", upload(b"3"), ANYTHING)
    sent = [call.operation for call in faulty.calls if call.operation.startswith("save")]
    assert sent == ["save_with", "save", "save_with"]


def test_a_listing_asks_nothing_before_it_is_read(storage: FullStorage) -> None:
    faulty = FaultyStorage(storage.inner)
    with full(faulty) as watched:
        put(watched, "a")
        before = len(faulty.calls)
        listings = [watched.list_stats(), watched.survey(), watched.whole_survey()]
        assert len(faulty.calls) == before
        assert [[item.name for item in listing] for listing in listings] == [["a"]] * 3


def test_a_folder_that_may_not_be_listed_is_an_obstacle_or_an_error() -> None:
    refusal = FileAccessError("forbidden", name="a")

    class Refusing(MemoryBackend):
        def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
            yield from super().survey(prefix)
            yield Obstacle("a", "forbidden", below=True, refusal=refusal)

    with full(Refusing()) as storage:
        assert [item.name for item in storage.survey()] == ["a"]
        with pytest.raises(FileAccessError) as caught:
            list(storage.whole_survey())
    assert caught.value is refusal


def test_a_storage_is_copied_from_as_what_it_is() -> None:
    """A backend copies from its own kind, and knows it by its class."""
    asked: list[DocumentStorage] = []

    class Copying(MemoryBackend):
        def can_copy_from(self, source: DocumentStorage) -> bool:
            asked.append(source)
            return True

        def copy_from(self, source: DocumentStorage, old_name: str, new_name: str) -> FileStat:
            asked.append(source)
            return FileStat(new_name, len(old_name))

    able = replace(MemoryBackend().capabilities, copy_from=True)
    source, target = Copying(capabilities=able), full(Copying(capabilities=able))
    assert target.can_copy_from(full(source))
    assert target.copy_from(full(source), "a", "b") == FileStat("b", 1)
    assert asked == [source, source]
