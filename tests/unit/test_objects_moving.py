"""A move that is cut off anywhere loses nothing and is finished or undone."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import MemoryStore
from tests.unit.objects_memory import ALL, CREATE, EVERY_KIND, memory_backend

from paperfleet.errors import (
    AlreadyExistsError,
    FileAccessError,
    IntegrityError,
    LockedError,
    NotFoundError,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.bucket import copying, moving, settling
from paperfleet.storage.bucket.client import FoundObject, PutCondition
from paperfleet.storage.bucket.features import NONE
from paperfleet.storage.bucket.marks import MoveMark

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.bucket.bucket import ObjectStoreBackend
    from paperfleet.storage.bucket.features import Features

REQUESTS = ("get_all", "find", "get", "put", "put_parts", "copy", "delete")
MOST_REQUESTS = 30


class KilledError(BaseException):
    """What ends the process in the middle; nothing may be done after it."""


class Cut:
    """Ends everything before or after the nth request from now, and all after that."""

    def __init__(self, backend: ObjectStoreBackend, number: int, *, after: bool) -> None:
        self.count = 0
        self._dead = False
        self._number = number
        self._after = after
        for name in REQUESTS:
            setattr(backend._client, name, self._cutting(getattr(backend._client, name)))

    def _cutting(self, request: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (of any request)
            self._die_if(self._dead)
            self.count += 1
            last = self.count == self._number
            self._die_if(last and not self._after)
            try:
                return request(*args, **kwargs)
            finally:
                self._die_if(last)

        return cut

    def _die_if(self, now: bool) -> None:
        if now:
            self._dead = True
            raise KilledError


@pytest.fixture(params=EVERY_KIND)
def features(request: pytest.FixtureRequest) -> Features:
    return EVERY_KIND[request.param]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def backend(store: MemoryStore, features: Features) -> ObjectStoreBackend:
    return memory_backend(store, features)


def content(backend: ObjectStoreBackend) -> dict[str, bytes]:
    return {name: backend.open(name).read() for name in backend.list_files()}


def keys(store: MemoryStore) -> set[str]:
    return {meta["path"] for page in store.list() for meta in page}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("heal", ["move", "sweep"])
@pytest.mark.parametrize("ahead", [False, True])
def test_cut_at_every_request(
    features: Features, monkeypatch: pytest.MonkeyPatch, after: bool, heal: str, ahead: bool
) -> None:
    monkeypatch.setattr(settling, "LEAST_SECONDS", -1000.0)
    for number in range(1, MOST_REQUESTS):
        store = MemoryStore()
        backend = memory_backend(store, features)
        backend.save("old", io.BytesIO(b"document"))
        cut = Cut(backend, number, after=after)
        try:
            if ahead:
                backend.end_move(backend.begin_move("old", "new"))
            else:
                backend.move("old", "new")
        except KilledError:
            survives(store, features, heal)
        else:
            assert 5 <= cut.count < number
            return
    pytest.fail("a move has an end")


def survives(store: MemoryStore, features: Features, heal: str) -> None:
    survivor = memory_backend(store, features)
    found = content(survivor)
    assert set(found.values()) == {b"document"}
    assert set(found) <= {"old", "new"}
    if heal == "move" and "old" in found:
        survivor.move("old", "new")
        assert content(survivor) == {"new": b"document"}
    survivor.sweep(0)
    assert len(content(survivor)) == 1
    assert keys(store) == {f"docs/{name}" for name in content(survivor)}


def test_what_was_begun_too_long_ago_is_read_again(
    backend: ObjectStoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.save("old", io.BytesIO(b"document"))
    begun = backend.begin_move("old", "new")
    backend.save("old", io.BytesIO(b"another"))
    monkeypatch.setattr(moving, "FRESH", -1.0)
    backend.end_move(begun)
    assert content(backend) == {"new": b"another"}
    assert backend.sweep(0) == 0


def test_a_begun_move_keeps_other_moves_out_until_it_is_left(store: MemoryStore) -> None:
    ours, theirs = memory_backend(store, CREATE), memory_backend(store, CREATE)
    ours.save("old", io.BytesIO(b"document"))
    begun = ours.begin_move("old", "new")
    for backend in (ours, theirs):
        with pytest.raises(LockedError):
            backend.move("old", "third")
        assert backend.sweep(0) == 0
    ours.leave_move(begun)
    theirs.move("old", "third")
    with pytest.raises(NotFoundError):
        ours.end_move(begun)
    assert content(ours) == {"third": b"document"}


@pytest.mark.parametrize("heal", ["sweep", "move"])
def test_a_document_that_is_alike_is_not_taken_for_the_copy(
    store: MemoryStore, features: Features, monkeypatch: pytest.MonkeyPatch, heal: str
) -> None:
    monkeypatch.setattr(settling, "LEAST_SECONDS", -1000.0)
    backend = memory_backend(store, features)
    for name in ("old", "new"):
        backend.save(name, io.BytesIO(b"document"))
    monkeypatch.setattr(backend._client, "delete", killed)
    with pytest.raises((KilledError, AlreadyExistsError)):
        backend.move("old", "new")
    survivor = memory_backend(store, features)
    if heal == "move":
        survivor.move("old", "third")
    survivor.sweep(0)
    kept = "third" if heal == "move" else "old"
    assert content(survivor) == {kept: b"document", "new": b"document"}


def killed(*_: object) -> None:
    raise KilledError


def cut_before_delete(store: MemoryStore) -> None:
    """Leave a move after its copy: the document under both names, and the mark."""
    backend = memory_backend(store, ALL)

    backend._client.delete = killed  # type: ignore[method-assign, assignment]  # the fault
    with pytest.raises(KilledError):
        backend.move("old", "new")


def test_what_was_saved_again_is_not_taken_for_the_moved_one(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LEAST_SECONDS", -1000.0)
    backend = memory_backend(store)
    backend.save("old", io.BytesIO(b"document"))
    cut_before_delete(store)
    backend.save("old", io.BytesIO(b"another"))
    assert backend.sweep(0) == 1
    assert content(backend) == {"old": b"another", "new": b"document"}


@pytest.mark.parametrize(
    "other",
    [
        FoundObject(9, 1_000, '"etag"', {}),
        FoundObject(8, 1_001, '"etag"', {}),
        FoundObject(8, 1_000, '"another"', {}),
        FoundObject(8, 1_000, None, {}),
    ],
)
def test_a_mark_is_of_the_state_that_it_names_alone(other: FoundObject) -> None:
    mark = MoveMark("old", "new", 8, 1_000, '"etag"', "mover")
    assert mark.is_of(FoundObject(8, 1_000, '"etag"', {}))
    assert not mark.is_of(other)


def test_what_came_back_at_the_old_name_is_not_deleted_for_an_old_mark(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes were saved again: it is another document than the one that was moved."""
    monkeypatch.setattr(settling, "LEAST_SECONDS", -1000.0)
    backend = memory_backend(store, NONE)
    backend.save("old", io.BytesIO(b"document"))
    seen = backend._client.look("docs/old", "stat", "old")
    mark = MoveMark("old", "new", seen.size, seen.modified_ns - 1, seen.etag, "another")
    backend.save("new", io.BytesIO(b"document"))
    key = backend._mover._marks.key("old")
    store.put(key, mark.as_bytes())
    assert backend.sweep(0) == 1
    assert content(backend) == {"old": b"document", "new": b"document"}


def test_what_is_saved_while_its_move_begins_is_not_moved_as_what_was_seen(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, theirs = (memory_backend(store, NONE) for _ in range(2))
    backend.save("old", io.BytesIO(b"document"))
    put = backend._client.put

    def after_a_save(*args: Any) -> Any:  # noqa: ANN401 (of any request)
        theirs.save("old", io.BytesIO(b"their work"))
        return put(*args)

    monkeypatch.setattr(backend._client, "put", after_a_save)
    with pytest.raises(LockedError, match="changed while its move began"):
        backend.move("old", "new")
    assert content(theirs) == {"old": b"their work"}
    assert keys(store) == {"docs/old"}


def test_what_was_changed_at_the_new_name_does_not_cost_the_old(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LEAST_SECONDS", -1000.0)
    backend = memory_backend(store)
    backend.save("old", io.BytesIO(b"document"))
    cut_before_delete(store)
    backend.save("new", io.BytesIO(b"tnemucod"))
    assert backend.sweep(0) == 1
    assert content(backend) == {"old": b"document", "new": b"tnemucod"}


def test_without_a_mark_nothing_is_deleted(store: MemoryStore) -> None:
    backend = memory_backend(store)
    for name in ("old", "new"):
        backend.save(name, io.BytesIO(b"document"))
    with pytest.raises(AlreadyExistsError):
        backend.move("old", "new")
    assert backend.sweep(0) == 0
    assert content(backend) == {"old": b"document", "new": b"document"}


def test_a_move_of_another_host_is_waited_for(store: MemoryStore) -> None:
    backend = memory_backend(store)
    backend.save("old", io.BytesIO(b"document"))
    cut_before_delete(store)
    for new in ("new", "third"):
        with pytest.raises(LockedError) as caught:
            backend.move("old", new)
        assert caught.value.transient
        assert 50 < (caught.value.retry_after or 0) <= settling.LEAST_SECONDS + 1
    assert backend.sweep(0) == 0
    assert content(backend) == {"old": b"document", "new": b"document"}


def test_own_failed_move_can_be_tried_again_at_once(backend: ObjectStoreBackend) -> None:
    backend.save("old", io.BytesIO(b"document"))
    delete = backend._client.delete

    def failing(*_: object) -> None:
        raise UnavailableError("gone")

    backend._client.delete = failing  # type: ignore[method-assign, assignment]  # the fault
    with pytest.raises(UnavailableError):
        backend.move("old", "new")
    backend._client.delete = delete  # type: ignore[method-assign]  # healed
    backend.move("old", "new")
    assert content(backend) == {"new": b"document"}
    assert backend.sweep(0) == 0


def test_a_failed_move_is_superseded_by_one_to_another_name(backend: ObjectStoreBackend) -> None:
    backend.save("old", io.BytesIO(b"document"))
    delete = backend._client.delete

    def failing(key: str, operation: str, name: str) -> None:
        if name == "old" and "work" not in key:
            raise UnavailableError("gone")
        delete(key, operation, name)

    backend._client.delete = failing  # type: ignore[method-assign]  # the fault
    for name in ("new", "new_01"):
        with pytest.raises(UnavailableError):
            backend.move("old", name)
    backend._client.delete = delete  # type: ignore[method-assign]  # healed
    backend.move("old", "third")
    assert content(backend) == {"third": b"document"}
    assert backend.sweep(0) == 0


def test_a_superseded_copy_that_was_changed_stays(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LEAST_SECONDS", -1000.0)
    backend = memory_backend(store)
    backend.save("old", io.BytesIO(b"document"))
    cut_before_delete(store)
    backend.save("new", io.BytesIO(b"tnemucod"))
    backend.move("old", "third")
    assert content(backend) == {"third": b"document", "new": b"tnemucod"}


def test_a_move_is_done_also_if_its_mark_cannot_be_removed(
    backend: ObjectStoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.save("old", io.BytesIO(b"document"))
    delete = backend._client.delete

    def failing(key: str, operation: str, name: str) -> None:
        if "work" in key:
            raise UnavailableError("gone")
        delete(key, operation, name)

    backend._client.delete = failing  # type: ignore[method-assign]  # the fault
    backend.move("old", "new")
    backend._client.delete = delete  # type: ignore[method-assign]  # healed
    assert "though the move is over" in caplog.text
    assert content(backend) == {"new": b"document"}
    assert backend.sweep(0) == 1
    assert content(backend) == {"new": b"document"}


def test_allowed_to_write_and_not_to_delete(backend: ObjectStoreBackend) -> None:
    backend.save("old", io.BytesIO(b"document"))

    delete = backend._client.delete

    def denied(key: str, operation: str, name: str) -> None:  # noqa: ARG001 (as the request)
        raise FileAccessError("access denied", operation=operation, name=name)

    backend._client.delete = denied  # type: ignore[method-assign]  # the fault
    for _ in range(2):
        with pytest.raises(FileAccessError):
            backend.move("old", "new")
        assert content(backend) == {"old": b"document", "new": b"document"}
    backend._client.delete = delete  # type: ignore[method-assign]  # allowed now
    backend.move("old", "new")
    assert content(backend) == {"new": b"document"}
    assert backend.sweep(0) == 0


def test_a_damaged_copy_costs_nothing(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = memory_backend(store)
    backend.save("old", io.BytesIO(b"document"))

    def damaging(key: str, new_key: str, *_: object, **__: object) -> None:  # noqa: ARG001 (as the request)
        store.put(new_key, b"short")

    monkeypatch.setattr(backend._client, "copy", damaging)
    with pytest.raises(IntegrityError):
        backend.move("old", "new")
    assert content(backend) == {"old": b"document", "new": b"short"}
    assert backend.sweep(0) == 0


def test_too_large_for_one_copy(
    store: MemoryStore, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "THROUGH_MEMORY", 100)
    backend = memory_backend(store, features, part_size=1 << 20)
    backend._copier._one_copy = 1_000_000
    data = bytes(range(256)) * 10_000

    def impossible(*_: object, **__: object) -> None:
        raise AssertionError("more than one copy takes")

    monkeypatch.setattr(backend._client, "copy", impossible)
    backend.save("old", io.BytesIO(data))
    backend.move("old", "folder/new")
    assert content(backend) == {"folder/new": data}
    with pytest.raises(NotFoundError):
        backend.move("old", "third")


@pytest.mark.parametrize(
    "stored",
    [
        b" ",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"old_name": "a"}',
        b'{"old_name": "a", "new_name": "b", "size": "3", "modified_ns": 0, "etag": null,'
        b' "mover": "m"}',
        b'{"old_name": "theirs", "new_name": "b", "size": 3, "modified_ns": 0, "etag": null,'
        b' "mover": "m"}',
    ],
)
def test_a_mark_that_is_none_deletes_nothing_and_is_named(stored: bytes) -> None:
    backend = memory_backend()
    with backend:
        for name in ("a", "b", "theirs"):
            backend.save(name, io.BytesIO(b"old"))
        key = backend._mover._marks.key("a")
        backend._client.put(key, stored, PutCondition("overwrite"), "move", "a")
        assert backend.sweep(0.0) == 0
        with pytest.raises(StorageError, match="no mark of a move") as caught:
            backend.move("a", "c")
        assert key in str(caught.value)
        assert list(backend.list_files()) == ["a", "b", "theirs"]
