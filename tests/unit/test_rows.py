"""Rows: several sends that one thread carries out one after the other."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from paperfleet.errors import NameRefusedError, StorageError, UnavailableError
from paperfleet.mirror import execute
from paperfleet.mirror.execute import Executor, OperationResult, UntriedError
from paperfleet.mirror.jobs import Job, in_batches, in_rows
from paperfleet.mirror.queue import JobQueue
from paperfleet.model import ABSENT, BegunSave, Delete, FileStat, KnownFile, Put, Upload
from paperfleet.storage.full import full
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

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
    assert sum(sizes(list(in_rows(tasks(200), 8)))) == 200
    assert set(sizes(list(in_rows(tasks(200), 8)))) == {11, 12}
    assert set(sizes(list(in_rows(tasks(50), 8)))) == {2, 3}
    assert max(sizes(list(in_rows(tasks(5000), 8)))) <= 24


def test_files_of_a_folder_stay_together() -> None:
    names = [f"{folder}/{number}" for number in range(8) for folder in "abcdefgh"]
    rows = list(in_rows([(number, put(name)) for number, name in enumerate(names)], 2))
    assert sizes(rows) == [16] * 4
    folders = [{name[0] for name in job.names} for job in rows]
    assert folders == [{"a", "b"}, {"c", "d"}, {"e", "f"}, {"g", "h"}]
    assert sorted(name for job in rows for name in job.names) == sorted(names)


def test_large_files_go_alone() -> None:
    mixed = tasks(100) + tasks(3, 50_000_000)
    rows = list(in_rows(mixed, 2))
    assert sorted(sizes(rows)) == [1] * 3 + [20] * 5
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


class InTwo(Failing):
    """Looks at what arrived when it is asked to."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        super().__init__(errors)
        self.capabilities = replace(self.capabilities, save_in_two=True)

    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> BegunSave:
        self.save_with(name, upload, expect)
        return BegunSave(name, upload.size)

    def end_saves(self, begun: Sequence[BegunSave]) -> list[FileStat | StorageError]:
        self.tried.append("".join(one.name for one in begun).upper())
        return [
            UnavailableError("unseen", name=one.name) if one.name == "d" else self.stat(one.name)
            for one in begun
        ]


def sent_in_two(
    errors: dict[str, Exception], names: str = "abcd", go_on: int = 100
) -> tuple[list[type], list[str]]:
    source, target = MemoryBackend(), InTwo(errors)
    with source, target:
        for name in names:
            source.save(name, io.BytesIO(b"x"))
        left = iter(range(go_on))
        answers = Executor(full(source), full(target)).put_each(
            [put(name) for name in names], lambda: next(left, None) is not None
        )
        return [type(answer) for answer in answers], target.tried


def test_what_arrived_of_a_row_is_seen_at_its_end() -> None:
    kinds, tried = sent_in_two({})
    assert kinds == [OperationResult] * 3 + [UnavailableError]
    assert tried == ["a", "b", "c", "d", "ABCD"]


def test_what_was_sent_before_an_error_of_the_target_is_seen() -> None:
    kinds, tried = sent_in_two({"b": NameRefusedError("no"), "c": UnavailableError("away")})
    assert kinds == [OperationResult, NameRefusedError, UnavailableError, UntriedError]
    assert tried == ["a", "b", "c", "A"]


def test_what_was_sent_before_the_mirror_is_to_stop_is_seen() -> None:
    kinds, tried = sent_in_two({}, go_on=1)
    assert kinds == [OperationResult, OperationResult, UntriedError, UntriedError]
    assert tried == ["a", "b", "AB"]


def test_where_sending_takes_long_nothing_stays_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "_UNSEEN_SECONDS", -1.0)
    kinds, tried = sent_in_two({}, "abc")
    assert kinds == [OperationResult] * 3
    assert tried == ["a", "A", "b", "B", "c", "C"]


def test_a_name_is_busy_as_long_as_anything_above_or_below_it_is() -> None:
    unused = cast("StorageError", None)
    work = JobQueue(unused, unused, unused, unused, lambda: None)  # type: ignore[arg-type]  # not used
    work.add([Job([(1, put("a/b/c.pdf")), (2, put("a/b/d.pdf"))])])
    for name in ("", "a", "a/b", "a/b/c.pdf", "a/b/c.pdf/below"):
        assert work.busy(name), name
    for name in ("b", "a/x", "a/b/c", "a/b/e.pdf"):
        assert not work.busy(name), name
