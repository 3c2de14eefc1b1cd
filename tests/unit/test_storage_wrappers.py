"""Verifying, prefixing and faults do what they say."""

from __future__ import annotations

import hashlib
import io
import time
from typing import IO, TYPE_CHECKING

import pytest

from paperfleet.errors import (
    InvalidNameError,
    NotFoundError,
    QuotaExceededError,
    UnavailableError,
)
from paperfleet.model import ANYTHING, NINE_METHODS, BatchFile, Upload
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.wrappers.base import Wrapper
from paperfleet.storage.wrappers.prefixed import Prefixed
from paperfleet.testing.faults import Call, FaultyStorage
from paperfleet.testing.suite_base import get, put

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_wrapper_claims_what_its_storage_claims() -> None:
    for capabilities in (NINE_METHODS, MemoryBackend().capabilities):
        memory = MemoryBackend(capabilities=capabilities)
        assert Wrapper(memory).capabilities == capabilities
        assert Wrapper(memory).label == "memory:"
        assert Prefixed(memory, "a").capabilities == capabilities


def test_prefixed_names() -> None:
    memory = MemoryBackend()
    with Prefixed(memory, "one/two/") as storage:
        assert storage.label == "memory:/one/two"
        assert put(storage, "a/b", b"x") == "a/b"
        assert dict(memory.files) == {"one/two/a/b": b"x"}
        with pytest.raises(NotFoundError) as caught:
            storage.open("a/missing")
        assert caught.value.name == "a/missing"
        for name in ("../x", "", "/x"):
            with pytest.raises(InvalidNameError) as refused:
                put(storage, name)
            assert refused.value.name == name
        with pytest.raises(InvalidNameError):
            list(storage.list_files("../"))
    assert dict(memory.files) == {"one/two/a/b": b"x"}


@pytest.mark.parametrize("folder", ["", "/", "/a", "a/../..", "a//b"])
def test_prefixes_are_names(folder: str) -> None:
    with pytest.raises(InvalidNameError):
        Prefixed(MemoryBackend(), folder)


def test_two_prefixes_see_nothing_of_each_other() -> None:
    memory = MemoryBackend()
    with Prefixed(memory, "a") as one, Prefixed(memory, "ab") as other:
        put(one, "x", b"one")
        put(other, "x", b"other")
        assert list(one.list_files()) == list(other.list_files()) == ["x"]
        assert get(one, "x") == b"one"
        assert get(other, "x") == b"other"


def test_faults_before_and_after_the_effect() -> None:
    memory = MemoryBackend()
    with FaultyStorage(memory) as storage:
        storage.fail("save", "a", error=QuotaExceededError)
        with pytest.raises(QuotaExceededError) as caught:
            put(storage, "a")
        assert (caught.value.operation, caught.value.name) == ("save", "a")
        assert dict(memory.files) == {}
        storage.fail("save", "a", when="after")
        with pytest.raises(UnavailableError):
            put(storage, "a", b"there")
        assert dict(memory.files) == {"a": b"there"}
        put(storage, "a", b"again")


def test_faults_are_counted_and_aimed() -> None:
    with FaultyStorage(MemoryBackend()) as storage:
        put(storage, "a")
        storage.fail("size", "a", times=2)
        storage.fail(None, "b", times=None)
        with pytest.raises(UnavailableError):
            storage.move("a", "b")
        for _ in range(2):
            with pytest.raises(UnavailableError):
                storage.size("a")
        assert storage.size("a") == 7
        assert storage.exists("a")
        for _ in range(5):
            with pytest.raises(UnavailableError):
                storage.exists("b")
        storage.heal()
        assert not storage.exists("b")
        assert storage.count("exists") == 7
        assert storage.count("size", "move") == 4


def test_faults_of_any_kind() -> None:
    with FaultyStorage(MemoryBackend()) as storage:
        storage.fail("exists", error=lambda: KeyError("odd"))
        with pytest.raises(KeyError):
            storage.exists("a")
        storage.fail("exists", error=None, delay=0.05)
        began = time.monotonic()
        assert not storage.exists("a")
        assert time.monotonic() - began >= 0.05


def test_calls_and_callbacks() -> None:
    events: list[tuple[str, Call]] = []
    storage = FaultyStorage(
        MemoryBackend(),
        before=lambda call: events.append(("before", call)),
        after=lambda call: events.append(("after", call)),
    )
    with storage:
        put(storage, "a")
        storage.fail("move")
        with pytest.raises(UnavailableError):
            storage.move("a", "b")
    enter, save, move, leave = (
        Call("enter"),
        Call("save", ("a",)),
        Call("move", ("a", "b")),
        Call("exit"),
    )
    assert storage.calls == [enter, save, move, leave]
    assert events == [
        ("before", enter),
        ("after", enter),
        ("before", save),
        ("after", save),
        ("before", move),
        ("before", leave),
        ("after", leave),
    ]


def test_a_stream_whose_answer_was_lost_is_closed() -> None:
    opened: list[IO[bytes]] = []

    class Noting(MemoryBackend):
        def open(self, name: str) -> IO[bytes]:
            opened.append(super().open(name))
            return opened[-1]

    with FaultyStorage(Noting()) as storage:
        put(storage, "a")
        storage.fail("open", when="after")
        with pytest.raises(UnavailableError):
            storage.open("a")
    assert [stream.closed for stream in opened] == [True]


def test_every_operation_can_fail() -> None:
    storage = FaultyStorage(MemoryBackend())
    with storage:
        put(storage, "a/b")
        storage.fail(times=None)
        digest = hashlib.sha256(b"x").hexdigest()
        sending = Upload(lambda: io.BytesIO(b"x"), 1, None, digest)
        calls: list[Callable[[], object]] = [
            lambda: storage.open("a/b"),
            lambda: put(storage, "a/b"),
            lambda: storage.delete("a/b"),
            lambda: storage.exists("a/b"),
            lambda: storage.move("a/b", "c"),
            storage.list_files,
            lambda: storage.size("a/b"),
            lambda: storage.stat("a/b"),
            storage.list_stats,
            storage.survey,
            lambda: storage.save_with("a/b", sending, ANYTHING),
            lambda: storage.save_batch([BatchFile("a/b", b"x", None)]),
            lambda: storage.delete_if("a/b", "etag"),
            lambda: storage.move_folder("a", "c"),
            lambda: storage.make_folder("c"),
            lambda: storage.remove_folder("a"),
            storage.folder_etag,
            storage.list_folder,
            lambda: storage.content_sha256("a/b"),
            lambda: storage.sweep(0),
        ]
        for call in calls:
            with pytest.raises(UnavailableError):
                call()
        storage.heal()
        assert list(storage.list_files()) == ["a/b"]
