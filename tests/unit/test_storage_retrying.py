"""Transient errors are tried again, and nothing takes effect twice."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

import pytest

from paperfleet.errors import (
    AlreadyExistsError,
    BusyError,
    CredentialsError,
    IntegrityError,
    LockedError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    ThrottledError,
    UnavailableError,
)
from paperfleet.model import ABSENT, Precondition, Upload
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.wrappers import retrying
from paperfleet.storage.wrappers.retrying import Retrying
from paperfleet.testing.faults import Call, FaultyStorage
from paperfleet.testing.suite_base import OneWay, as_content, get, put, upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.model import FileStat


class World:
    """A storage in memory that fails on command, tried again with recorded waits."""

    def __init__(self) -> None:
        self.memory = MemoryBackend()
        self.faulty = FaultyStorage(self.memory)
        self.waits: list[float] = []
        self.storage = Retrying(self.faulty, tries=4, sleep=self.waits.append, chance=lambda: 0.0)

    @property
    def files(self) -> dict[str, bytes]:
        return dict(self.memory.files)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.storage:
        yield made


def test_transient_errors_are_tried_again(world: World) -> None:
    put(world.storage, "a")
    world.faulty.fail("stat", error=UnavailableError, times=3)
    assert world.storage.stat("a").size == 7
    assert world.waits == [0.5, 1.0, 2.0]


def test_tries_are_bounded(world: World) -> None:
    world.faulty.fail("exists", error=LockedError, times=None)
    with pytest.raises(LockedError):
        world.storage.exists("a")
    assert world.faulty.count("exists") == 4
    assert len(world.waits) == 3


@pytest.mark.parametrize("error", [NotFoundError, CredentialsError, PreconditionFailedError])
def test_other_errors_are_not(world: World, error: type[StorageError]) -> None:
    world.faulty.fail("open", error=error)
    with pytest.raises(error):
        world.storage.open("a")
    assert world.faulty.count("open") == 1
    assert world.waits == []


def test_waits_grow_to_a_limit_and_vary_by_chance() -> None:
    waits: list[float] = []
    faulty = FaultyStorage(MemoryBackend())
    chances = iter([0.0, 1.0, 0.5, 0.0, 0.0])
    storage = Retrying(
        faulty,
        tries=6,
        first_delay=1,
        longest_delay=5,
        sleep=waits.append,
        chance=lambda: next(chances),
    )
    faulty.fail("size", times=5)
    with storage, pytest.raises(NotFoundError):
        storage.size("a")
    assert waits == [1.0, 1.0, 3.0, 5.0, 5.0]


def test_the_storage_says_how_long(world: World) -> None:
    put(world.storage, "a")
    world.faulty.fail("size", error=lambda: ThrottledError("later", retry_after=20))
    assert world.storage.size("a") == 7
    assert world.waits == [20]


def test_a_long_wait_is_left_to_the_caller(world: World) -> None:
    world.faulty.fail("size", error=lambda: ThrottledError("later", retry_after=31))
    with pytest.raises(ThrottledError):
        world.storage.size("a")
    assert world.waits == []


def test_content_is_rewound_to_where_it_was() -> None:
    class FailsWhileReading(MemoryBackend):
        failures = 2

        def save(self, name: str, content: IO[bytes]) -> str:
            content.read(3)
            if self.failures:
                self.failures -= 1
                raise UnavailableError("cut")
            content.seek(-3, io.SEEK_CUR)
            return super().save(name, content)

    memory = FailsWhileReading()
    content = io.BytesIO(b"skipped content")
    content.seek(8)
    with Retrying(memory, sleep=lambda _: None) as storage:
        storage.save("a", content)
    assert dict(memory.files) == {"a": b"content"}


def test_content_that_cannot_be_rewound_gets_one_try(world: World) -> None:
    world.faulty.fail("save")
    with pytest.raises(UnavailableError):
        world.storage.save("a", as_content(OneWay(b"content")))
    assert world.faulty.count("save") == 1
    world.storage.save("a", as_content(OneWay(b"content")))
    assert world.files == {"a": b"content"}


def test_a_new_file_whose_answer_was_lost(world: World) -> None:
    world.faulty.fail("save_with", when="after")
    saved = world.storage.save_with("a", upload(b"ours"), ABSENT)
    assert saved == world.memory.stat("a")
    assert world.files == {"a": b"ours"}


def test_a_new_file_that_somebody_else_made(world: World) -> None:
    """The first try had no effect, and others took the name before the second."""

    def theirs() -> BaseException:
        world.memory.files["a"] = b"them"
        return UnavailableError("cut")

    world.faulty.fail("save_with", error=theirs)
    with pytest.raises(AlreadyExistsError):
        world.storage.save_with("a", upload(b"ours"), ABSENT)
    assert world.files == {"a": b"them"}


def test_a_conditional_overwrite_whose_answer_was_lost(world: World) -> None:
    put(world.storage, "a", b"old")
    etag = world.storage.stat("a").etag
    world.faulty.fail("save_with", when="after")
    world.storage.save_with("a", upload(b"new"), Precondition(etag=etag))
    assert world.files == {"a": b"new"}


def test_without_a_checksum_the_content_itself_says_whose_file_it_is(world: World) -> None:
    """A save that is sent again must not take its own first try for somebody else's file."""
    world.faulty.fail("save_with", when="after")
    world.storage.save_with("a", Upload(lambda: io.BytesIO(b"x"), 1), ABSENT)
    assert world.files == {"a": b"x"}
    world.faulty.fail("save_with", when="after")
    with pytest.raises(AlreadyExistsError):
        world.storage.save_with("a", Upload(lambda: io.BytesIO(b"y"), 1), ABSENT)
    assert world.files == {"a": b"x"}


def outage(storage: FaultyStorage, answers: int, patience: float) -> Retrying:
    """Return a storage with patience whose clock is the number of tries."""
    storage.fail("stat", times=answers)
    return Retrying(storage, tries=2, sleep=lambda _: None, patience=lambda: patience)


def test_an_outage_is_waited_for_with_patience(world: World) -> None:
    put(world.storage, "a")
    assert outage(world.faulty, 50, patience=600.0).stat("a").name == "a"
    world.faulty.heal()
    with pytest.raises(UnavailableError):
        outage(world.faulty, 50, patience=0.0).stat("a")


def test_only_an_outage_is_waited_for(world: World) -> None:
    world.faulty.fail("stat", error=IntegrityError, times=None)
    patient = Retrying(world.faulty, tries=2, sleep=lambda _: None, patience=lambda: 600.0)
    with pytest.raises(IntegrityError):
        patient.stat("a")


@pytest.mark.parametrize(("at_work", "is_waited_for"), [(False, False), (True, True)])
def test_a_file_that_the_storage_alone_fails_with_is_not_waited_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch, at_work: bool, is_waited_for: bool
) -> None:
    class FailsAloneError(BusyError):
        pass

    FailsAloneError.at_work = at_work
    monkeypatch.setattr(retrying, "ONE_FILE", 0.0)
    put(world.storage, "a")
    world.faulty.fail("stat", error=FailsAloneError, times=9)
    patient = Retrying(world.faulty, tries=2, sleep=lambda _: None, patience=lambda: 600.0)
    if is_waited_for:
        assert patient.stat("a").name == "a"
    else:
        with pytest.raises(FailsAloneError):
            patient.stat("a")


def test_damage_is_sent_again(world: World) -> None:
    world.faulty.fail("save_with", error=IntegrityError)
    world.storage.save_with("a", upload(b"x"), ABSENT)
    assert world.files == {"a": b"x"}


@pytest.mark.parametrize("conditional", [True, False])
def test_a_delete_whose_answer_was_lost(world: World, conditional: bool) -> None:
    put(world.storage, "a")
    etag = world.storage.stat("a").etag
    world.faulty.fail("delete", when="after")
    world.faulty.fail("delete_if", when="after")
    if conditional:
        assert etag
        world.storage.delete_if("a", etag)
    else:
        world.storage.delete("a")
    assert world.files == {}


def test_a_delete_of_nothing_after_a_refusal(world: World) -> None:
    world.faulty.fail("delete", error=LockedError)
    with pytest.raises(NotFoundError):
        world.storage.delete("a")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_move_that_was_cut(world: World, when: str) -> None:
    put(world.storage, "a", b"content")
    world.faulty.fail("move", when="after" if when == "after" else "before")
    world.storage.move("a", "b")
    assert world.files == {"b": b"content"}
    assert world.faulty.count("move") == (1 if when == "after" else 2)


def test_a_move_is_looked_at_before_it_is_repeated(world: World) -> None:
    put(world.storage, "a")
    world.faulty.calls.clear()
    world.faulty.fail("move", when="after")
    world.storage.move("a", "b")
    assert world.faulty.calls == [
        Call("move", ("a", "b")),
        Call("exists", ("a",)),
        Call("exists", ("b",)),
    ]


@pytest.mark.parametrize("after", [{"a": b"new", "b": b"moved"}, {}])
def test_a_move_that_nobody_understands_is_not_repeated(
    world: World, after: dict[str, bytes]
) -> None:
    put(world.storage, "a", b"moved")

    def cut() -> BaseException:
        world.memory.files.clear()
        world.memory.files.update(after)
        return UnavailableError("cut")

    world.faulty.fail("move", error=cut)
    with pytest.raises(UnavailableError):
        world.storage.move("a", "b")
    assert world.files == after
    assert world.faulty.count("move") == 1


def test_a_locked_move_is_repeated(world: World) -> None:
    put(world.storage, "a", b"content")
    world.faulty.fail("move", error=LockedError, times=2)
    world.storage.move("a", "b")
    assert world.files == {"b": b"content"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_folder_move_that_was_cut(world: World, when: str) -> None:
    put(world.storage, "a/b", b"content")
    world.faulty.fail("move_folder", when="after" if when == "after" else "before")
    world.storage.move_folder("a", "c")
    assert world.files == {"c/b": b"content"}


def test_a_listing_goes_on_where_it_was_cut() -> None:
    class Cut(MemoryBackend):
        cuts = 3

        def list_files(self, prefix: str = "") -> Iterator[str]:
            for number, name in enumerate(super().list_files(prefix)):
                if self.cuts and number == 2 - self.cuts % 2:
                    self.cuts -= 1
                    raise UnavailableError("cut")
                yield name

    memory = Cut()
    for name in "abcde":
        memory.files[name] = b"x"
    with Retrying(memory, sleep=lambda _: None) as storage:
        assert list(storage.list_files()) == list("abcde")
        memory.cuts = 4
        with pytest.raises(UnavailableError):
            list(storage.list_files())


def test_a_survey_is_begun_again_but_not_resumed() -> None:
    class Cut(MemoryBackend):
        at: tuple[int, ...] = ()

        def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
            for number, item in enumerate(super().list_stats(prefix)):
                if self.at and number == self.at[0]:
                    self.at = self.at[1:]
                    raise UnavailableError("cut")
                yield item

    memory = Cut()
    for name in "abc":
        memory.files[name] = b"x"
    with Retrying(memory, sleep=lambda _: None) as storage:
        memory.at = (0, 0)
        assert [item.name for item in storage.list_stats()] == list("abc")
        memory.at = (1,)
        with pytest.raises(UnavailableError):
            list(storage.list_stats())


def test_reading_is_as_before(world: World) -> None:
    put(world.storage, "a", b"content")
    world.faulty.fail("open", when="after")
    assert get(world.storage, "a") == b"content"
