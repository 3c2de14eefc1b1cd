"""The small parts below the object stores: keys, digests, feeding, features, conditions."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import MemoryStore
from tests.unit.objects_memory import ALL, EVERY_KIND, memory_backend

from paperfleet.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NameRefusedError,
    NotAStorageError,
    NotFoundError,
    PreconditionFailedError,
)
from paperfleet.model import ABSENT, Precondition, Upload
from paperfleet.storage.bucket import findings
from paperfleet.storage.bucket.digests import (
    Digests,
    digests_of,
    digests_to_end,
    is_md5,
    part_size,
)
from paperfleet.storage.bucket.features import Probe
from paperfleet.storage.bucket.feeding import StoppedError, feed
from paperfleet.storage.bucket.keys import LONGEST, WORK, Keys
from paperfleet.storage.namelocks import NameLocks

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = Keys("docs", "s3://bucket/docs")


def upload(data: bytes) -> Upload:
    return Upload(lambda: io.BytesIO(data), len(data))


@pytest.mark.parametrize("name", ["a" * (LONGEST - 5), "ü" * ((LONGEST - 5) // 2)])
def test_the_longest_names(name: str) -> None:
    assert KEYS.saved(name, "save") == f"docs/{name}"
    for longer in (name + "a", name + "ü"):
        with pytest.raises(NameRefusedError, match=r"102[4-9] bytes|1024") as caught:
            KEYS.saved(longer + "a", "save")
        assert str(LONGEST) in caught.value.reason
        with pytest.raises(NotFoundError):
            KEYS.found(longer + "a", "open")


@pytest.mark.parametrize("name", ["new\nline", "bell\x07", "delete\x7f", "\udcff"])
def test_names_that_stores_mangle(name: str) -> None:
    with pytest.raises(NameRefusedError):
        KEYS.saved(name, "save")
    with pytest.raises(NotFoundError):
        KEYS.found(name, "open")


@pytest.mark.parametrize("name", ["", "..", "a/../../b", "/a", "a//b", "a/", "a\0", f"{WORK}/x"])
def test_names_that_would_leave_the_location(name: str) -> None:
    with pytest.raises(InvalidNameError):
        KEYS.saved(name, "save")


def test_folders_of_keys() -> None:
    assert KEYS.folder("") == "docs"
    assert KEYS.folder("a/") == "docs/a"
    assert Keys("", "").folder("") is None
    assert KEYS.name("docs/a/b") == "a/b"


@pytest.mark.parametrize("part", [1, 7, 100, 1000])
@pytest.mark.parametrize("beside", [False, True])
def test_the_etag_of_parts(part: int, *, beside: bool) -> None:
    data = bytes(range(256)) * 3
    digests = Digests(part)
    with digests.beside() if beside else nullcontext(digests.update) as take:
        for start in range(0, len(data), 50):
            take(data[start : start + 50])
    md5s = [
        hashlib.md5(data[at : at + part], usedforsecurity=False).digest()
        for at in range(0, len(data), part)
    ]
    whole = hashlib.md5(b"".join(md5s), usedforsecurity=False).hexdigest()
    assert digests.etag == f"{whole}-{len(md5s)}"
    assert digests.sha256 == hashlib.sha256(data).hexdigest()
    assert is_md5(f'"{digests.etag}"')
    assert digests_of(b"").etag == hashlib.md5(b"", usedforsecurity=False).hexdigest()


def test_the_etag_of_all() -> None:
    data = bytes(range(256)) * 3
    digests = digests_to_end(io.BytesIO(data), 0)
    assert digests.etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert digests.count == len(data)


def test_a_failed_save_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = memory_backend(part_size=1 << 20)
    stream = io.BytesIO(bytes(30 << 20))
    monkeypatch.setattr(stream, "seekable", lambda: False)

    def put(_store: object, _key: str, pieces: Iterator[bytes], **_: object) -> None:
        next(pieces)
        raise StoppedError("upload")

    monkeypatch.setattr(obstore, "put", put)
    with pytest.raises(StoppedError):
        backend.save("a", stream)
    assert [thread.name for thread in threading.enumerate() if "paperfleet" in thread.name] == []


def test_parts_fit_any_size() -> None:
    assert part_size(None, 8 << 20) == part_size(5 * 10**9, 8 << 20) == 8 << 20
    for size in (10**11, 5 * 10**12):
        assert size / part_size(size, 8 << 20) <= 10_000


def test_feeding_passes_all_in_order() -> None:
    got: list[bytes] = []
    feed((bytes([number]) for number in range(200)), got.extend)
    assert b"".join(got) == bytes(range(200))


def test_feeding_reads_in_the_callers_thread() -> None:
    threads: set[int] = set()

    def content() -> Iterator[bytes]:
        for _ in range(20):
            threads.add(threading.get_ident())
            yield b"x"

    feed(content(), list)
    assert threads == {threading.get_ident()}


def test_failing_content_stops_the_upload() -> None:
    ends: list[BaseException] = []

    def content() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("source")

    def send(pieces: Iterator[bytes]) -> None:
        try:
            list(pieces)
        except StoppedError as error:
            ends.append(error)
            raise

    with pytest.raises(KeyError, match="source"):
        feed(content(), send)
    assert len(ends) == 1


def test_a_failing_upload_stops_the_reading() -> None:
    count = 0

    def content() -> Iterator[bytes]:
        nonlocal count
        for count in range(1000):  # noqa: B007 (looked at below)
            yield b"x"

    def send(pieces: Iterator[bytes]) -> None:
        next(pieces)
        raise ValueError("upload")

    with pytest.raises(ValueError, match="upload"):
        feed(content(), send)
    assert count < 100


def test_locks_of_names_leave_nothing() -> None:
    locks = NameLocks()
    with locks.holding("a", "b", "a"), locks.holding("c"):
        assert set(locks._held) == {"a", "b", "c"}
    assert locks._held == {}


def test_a_probe_leaves_nothing() -> None:
    store = MemoryStore()
    backend = memory_backend(store)
    assert Probe(backend._client).features() == ALL
    assert [meta for page in store.list() for meta in page] == []


def test_what_a_probe_found_another_process_need_not_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "_tried", {})
    monkeypatch.setattr(findings, "_adopted", {})
    Probe(memory_backend(MemoryStore())._client).features()
    assert Probe(memory_backend(MemoryStore())._client)._adopted() is None
    findings.adopt(json.loads(json.dumps(findings.noted())))
    adopting = memory_backend(MemoryStore())
    monkeypatch.setattr(adopting._client, "put", None)
    assert Probe(adopting._client).features() == ALL


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_conditions_hold_with_and_without_the_store(kind: str) -> None:
    backend = memory_backend(features=EVERY_KIND[kind], part_size=1 << 20)
    for data in (b"small", bytes(3_000_000)):
        backend.save_with("a", upload(data), ABSENT)
        for other in (b"x", bytes(2_000_000)):
            with pytest.raises(AlreadyExistsError):
                backend.save_with("a", upload(other), ABSENT)
            with pytest.raises(PreconditionFailedError):
                backend.save_with("a", upload(other), Precondition(etag='"old"'))
            with pytest.raises(PreconditionFailedError):
                backend.save_with("b", upload(other), Precondition(exists=True))
        assert backend.open("a").read() == data
        etag = backend.stat("a").etag
        assert backend.save_with("a", upload(b"new"), Precondition(etag=etag)).size == 3
        backend.delete("a")


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("expected", ["absent", "etag", "there"])
def test_what_somebody_saved_during_a_large_save_under_a_condition_stays(
    kind: str, expected: str
) -> None:
    store = MemoryStore()
    features = EVERY_KIND[kind]
    backend, theirs = (memory_backend(store, features, part_size=1 << 20) for _ in range(2))
    data, opened = bytes(3_000_000), 0
    expect = ABSENT
    if expected != "absent":
        backend.save("a", io.BytesIO(b"before"))
        etag = backend.stat("a").etag
        expect = Precondition(etag=etag) if expected == "etag" else Precondition(exists=True)

    def content() -> io.BytesIO:
        nonlocal opened
        opened += 1
        if opened == 2:  # the first look is over: this is what is sent
            if expected == "there":
                theirs.delete("a")
            else:
                theirs.save("a", io.BytesIO(b"theirs"))
        return io.BytesIO(data)

    with pytest.raises((AlreadyExistsError, PreconditionFailedError)):
        backend.save_with("a", Upload(content, len(data)), expect)
    assert opened == 2
    assert {name: backend.open(name).read() for name in backend.list_files()} == (
        {} if expected == "there" else {"a": b"theirs"}
    )
    assert len([meta for page in store.list() for meta in page]) == (expected != "there")


def test_no_links_to_memory() -> None:
    with pytest.raises(NotAStorageError):
        memory_backend().presigned_url("a")


def test_sweep_removes_what_cut_off_saves_left() -> None:
    store = MemoryStore()
    backend = memory_backend(store)
    for kind in ("save", "probe"):
        store.put(backend._keys.work(kind, "x"), b"left")
    backend.save("a", io.BytesIO(b"kept"))
    assert list(backend.list_files()) == ["a"]
    assert backend.sweep(3600) == 0
    assert backend.sweep(-1) == 2
    assert list(backend.list_files()) == ["a"]


def test_saving_an_object_of_another_store_in_parts() -> None:
    data = bytes(range(256)) * 20_000
    one, other = memory_backend(part_size=1 << 20), memory_backend(part_size=1 << 20)
    one.save("a", io.BytesIO(data))
    with one.open("a") as content:
        other.save("a", content)
    assert other.content_sha256("a") == hashlib.sha256(data).hexdigest()
