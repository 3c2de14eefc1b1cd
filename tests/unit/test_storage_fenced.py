"""Without the lease nothing is written, and everything can be read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import LeaseLostError, NotFoundError
from paperfleet.locks.backends.memory import MemoryLeases
from paperfleet.locks.store import Leases
from paperfleet.model import ANYTHING, BatchFile, BegunMove, FileStat, Upload
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.wrappers.base import EveryAbility, Wrapper
from paperfleet.storage.wrappers.fenced import _READS, Fenced
from paperfleet.storage.wrappers.retrying import Retrying
from paperfleet.testing.suite_base import OneWay, as_content, get, put, upload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


WRITES: dict[str, Callable[[Fenced], object]] = {
    "save": lambda s: put(s, "new"),
    "delete": lambda s: s.delete("kept"),
    "move": lambda s: s.move("kept", "moved"),
    "copy": lambda s: s.copy("kept", "copied"),
    "copy_from": lambda s: s.copy_from(s, "kept", "copied"),
    "save_with": lambda s: s.save_with("new", upload(b"x"), ANYTHING),
    "begin_save": lambda s: s.begin_save("new", upload(b"x"), ANYTHING),
    "save_batch": lambda s: s.save_batch([BatchFile("new", b"x", None)]),
    "delete_if": lambda s: s.delete_if("kept", "etag"),
    "move_folder": lambda s: s.move_folder("folder", "other"),
    "begin_move": lambda s: s.begin_move("kept", "moved"),
    "end_move": lambda s: s.end_move(BegunMove(FileStat("kept", 4), "moved", None)),
    "leave_move": lambda s: s.leave_move(BegunMove(FileStat("kept", 4), "moved", None)),
    "make_folder": lambda s: s.make_folder("empty"),
    "remove_folder": lambda s: s.remove_folder("folder"),
    "sweep": lambda s: s.sweep(0.0),
}


class Fence:
    """Lets so many checks pass."""

    def __init__(self, passes: int) -> None:
        self.left = passes

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise LeaseLostError("the lease is lost")


def filled() -> MemoryBackend:
    inner = MemoryBackend()
    with inner:
        put(inner, "kept", b"kept")
        put(inner, "folder/file", b"file")
    return inner


@pytest.mark.parametrize("operation", WRITES)
def test_no_operation_writes_without_the_lease(operation: str) -> None:
    inner = filled()
    before = dict(inner.files)
    with Fenced(inner, Fence(0).check) as storage, pytest.raises(LeaseLostError):
        WRITES[operation](storage)
    assert inner.files == before


def test_every_operation_is_known_as_a_read_or_a_write() -> None:
    operations = {
        name for name in vars(Wrapper) if not name.startswith("_") and callable(vars(Wrapper)[name])
    }
    assert operations == set(WRITES) | _READS - {"enter", "exit"}
    assert operations <= {name for base in EveryAbility.__mro__ for name in vars(base)}


def test_reading_needs_no_lease() -> None:
    with Fenced(filled(), Fence(0).check) as storage:
        assert get(storage, "kept") == b"kept"
        assert storage.exists("folder/file")
        assert list(storage.list_files()) == ["folder/file", "kept"]
        assert storage.stat("kept").size == storage.size("kept") == 4


def test_with_the_lease_everything_is_passed_on() -> None:
    inner = filled()
    with (
        Leases(MemoryLeases()) as store,
        store.acquire("x", ttl=30, timeout=0) as lease,
        Fenced(inner, lease.check) as storage,
    ):
        put(storage, "new", b"content")
        storage.move("kept", "moved")
        storage.save_with("with", upload(b"x"), ANYTHING)
        storage.delete("folder/file")
    assert inner.files == {"new": b"content", "moved": b"kept", "with": b"x"}


SAVES: list[Callable[[Fenced, bytes], object]] = [
    lambda s, content: s.save("kept", io.BytesIO(content)),
    lambda s, content: s.save("kept", as_content(OneWay(content))),
    lambda s, content: s.save_with("kept", unhashed(content), ANYTHING),
]


def unhashed(content: bytes) -> Upload:
    return Upload(lambda: io.BytesIO(content), len(content), None, None)


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("way", range(len(SAVES)))
def test_a_save_that_outlasts_the_lease_takes_no_effect(
    tmp_path: Path, passes: int, way: int
) -> None:
    inner = LocalBackend(tmp_path)
    with inner:
        put(inner, "kept", b"kept")
    with Fenced(inner, Fence(passes).check) as storage, pytest.raises(LeaseLostError):
        SAVES[way](storage, b"x" * 3_000_000)
    with inner:
        assert get(inner, "kept") == b"kept"
        assert list(inner.list_files()) == ["kept"]


def test_a_loss_is_not_tried_again() -> None:
    fence = Fence(0)
    with Retrying(Fenced(filled(), fence.check)) as storage, pytest.raises(LeaseLostError):
        put(storage, "new")
    assert fence.left == -1, "one check, one refusal"


def test_other_errors_pass() -> None:
    with Fenced(filled(), Fence(9).check) as storage, pytest.raises(NotFoundError):
        storage.delete("missing")


def test_what_is_opened_for_a_save_is_closed() -> None:
    opened: list[io.BytesIO] = []

    def opens() -> io.BytesIO:
        opened.append(io.BytesIO(b"abc"))
        return opened[-1]

    with Fenced(filled(), Fence(99).check) as storage:
        storage.save_with("new", Upload(opens, 3, None, None), ANYTHING)
    assert [stream.closed for stream in opened] == [True]
