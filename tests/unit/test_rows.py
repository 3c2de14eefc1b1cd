"""Rows: several sends that one thread carries out one after the other."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from paperfleet.errors import NameRefusedError, StorageError, UnavailableError
from paperfleet.mirror.execute import Executor, OperationResult, UntriedError
from paperfleet.mirror.jobs import Job, in_batches, in_rows
from paperfleet.mirror.queue import JobQueue
from paperfleet.model import ABSENT, Delete, FileStat, KnownFile, Put, Upload
from paperfleet.storage.full import full
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.mirror.jobs import Task
    from paperfleet.model import Precondition


def put(name: str, size: int = 1) -> Put:
    return Put(FileStat(name, size), name, "created", ABSENT)


def tasks(count: int, size: int = 1) -> list[Task]:
    return [(number, put(f"{number}.pdf", size)) for number in range(count)]


def sizes(jobs: Sequence[Job]) -> list[int]:
    return [len(job.tasks) for job in jobs]


def test_few_files_go_alone_so_that_every_thread_has_one() -> None:
    assert sizes(list(in_rows(tasks(15), 8))) == [1] * 15


def test_many_files_go_in_rows() -> None:
    assert sizes(list(in_rows(tasks(200), 8))) == [8] * 25
    assert sizes(list(in_rows(tasks(50), 8))) == [3] * 16 + [2]


def test_large_files_go_alone() -> None:
    mixed = tasks(100) + tasks(3, 50_000_000)
    rows = list(in_rows(mixed, 2))
    assert sorted(sizes(rows)) == [1] * 3 + [4] + [8] * 12
    assert not any(job.at_once for job in rows)


def test_all_of_a_batch_goes_at_once() -> None:
    known = KnownFile("d", "d", 1, "", None, None, None, None)
    batches = list(in_batches([*tasks(120), (200, Delete(known))]))
    assert [(len(job.tasks), job.at_once) for job in batches] == [
        (1, False),
        (50, True),
        (50, True),
        (20, True),
    ]


class Failing(MemoryBackend):
    """Refuses some names."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        super().__init__()
        self.errors = errors
        self.tried: list[str] = []

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        self.tried.append(name)
        if name in self.errors:
            raise self.errors[name]
        return super().save_with(name, upload, expect)


def sent(errors: dict[str, Exception], go_on: int = 100) -> tuple[list[object], Failing]:
    source, target = MemoryBackend(), Failing(errors)
    with source, target:
        for name in "abcd":
            source.save(name, io.BytesIO(b"x"))
        left = iter(range(go_on))
        answers = Executor(full(source), full(target)).put_each(
            [put(name) for name in "abcd"], lambda: next(left, None) is not None
        )
        return [type(answer) for answer in answers], target


def test_each_file_has_its_own_answer() -> None:
    fault, refusal = ZeroDivisionError(), NameRefusedError("no")
    kinds, target = sent({"b": fault, "c": refusal})
    assert kinds == [OperationResult, ZeroDivisionError, NameRefusedError, OperationResult]
    assert target.tried == ["a", "b", "c", "d"]


def test_after_an_error_of_the_target_the_rest_is_not_tried() -> None:
    kinds, target = sent({"b": UnavailableError("away")})
    assert kinds == [OperationResult, UnavailableError, UntriedError, UntriedError]
    assert target.tried == ["a", "b"]


def test_a_row_ends_when_the_mirror_is_to_stop() -> None:
    kinds, target = sent({}, go_on=1)
    assert kinds == [OperationResult, OperationResult, UntriedError, UntriedError]
    assert target.tried == ["a", "b"]


def test_a_name_is_busy_as_long_as_anything_above_or_below_it_is() -> None:
    unused = cast("StorageError", None)
    work = JobQueue(unused, unused, unused, unused, lambda: None)  # type: ignore[arg-type]  # not used
    work.add([Job([(1, put("a/b/c.pdf")), (2, put("a/b/d.pdf"))])])
    for name in ("", "a", "a/b", "a/b/c.pdf", "a/b/c.pdf/below"):
        assert work.busy(name), name
    for name in ("b", "a/x", "a/b/c", "a/b/e.pdf"):
        assert not work.busy(name), name
