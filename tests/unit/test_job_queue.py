"""The queue: what waits for what, what follows a failure, and how many run at once."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

from paperfleet.mirror.execute import OperationResult
from paperfleet.mirror.jobs import FolderStep, Job
from paperfleet.mirror.parallelism import Parallelism
from paperfleet.mirror.queue import JobQueue
from paperfleet.model import ABSENT, Delete, FileStat, KnownFile, Move, MoveFolder, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paperfleet.model import Operation

MAKE = FolderStep("make", "f")


class Stage:
    """Plays journal, executor, pool and gate: what was begun ends when the test says so."""

    closed = False

    def __init__(self, connections: int = 4, limit: int = 4) -> None:
        self.started: list[int] = []
        self.withdrawn: list[int] = []
        self.begun: list[str] = []
        self.needless: set[FolderStep] = set()
        self._futures: list[tuple[Future[Any], Callable[[], Any]]] = []
        anything = cast("Any", self)
        parallelism = Parallelism(limit, most=limit)
        self.queue = JobQueue(anything, anything, anything, parallelism, lambda: None, connections)

    def start(self, numbers: Sequence[int]) -> None:
        self.started += numbers

    def withdraw(self, numbers: Sequence[int]) -> None:
        self.withdrawn += numbers

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._futures.append((future, function))
        return future

    def run(self, operation: Operation, _folder_etag: str | None) -> OperationResult:
        self.begun.append(operation.names[-1])
        return OperationResult()

    def take(self, step: FolderStep) -> None:
        self.begun.append(f"{step.action} {step.folder}")

    def trusted_etag(self, _operation: Operation) -> str | None:
        return None

    def is_due(self, step: FolderStep) -> bool:
        return step not in self.needless

    def round(self) -> list[str]:
        """Let begin what may, end it well, and return what it was."""
        self.queue.pump(cast("Any", self))
        begun, self.begun = self.begun, []
        for future, function in self._futures:
            future.set_result(function())
        self._futures.clear()
        begun, self.begun = self.begun, begun
        ended = self.queue.collect()
        for one in ended.finished:
            self.queue.release(one.number)
        for step in ended.steps:
            self.queue.release(step.step)
        self.begun = []
        return begun


def row(name: str) -> KnownFile:
    return KnownFile(name, name, 1, "ab" * 32, None, None, None, None)


def put(number: int, name: str, *after: int | FolderStep) -> Job:
    operation = Put(FileStat(name, 1), name, "created", ABSENT)
    return Job([(number, operation)], after=frozenset(after))


def move(number: int, old: str, new: str, *after: int) -> Job:
    return Job([(number, Move(row(old), new, new, FileStat(new, 1)))], after=frozenset(after))


def delete(number: int, name: str) -> Job:
    return Job([(number, Delete(row(name)))])


def test_a_job_begins_when_all_that_it_waits_for_has_ended() -> None:
    stage = Stage()
    stage.queue.add(
        [put(3, "a", 1, 2), move(1, "a", "b"), move(2, "c", "d", 1), put(4, "elsewhere")]
    )
    assert stage.round() == ["b", "elsewhere"]
    assert stage.round() == ["d"]
    assert stage.round() == ["a"]
    assert stage.queue.idle
    assert sorted(stage.started) == [1, 2, 3, 4]


def test_what_has_ended_before_is_not_waited_for() -> None:
    stage = Stage()
    stage.queue.add([put(2, "a", 1)])
    assert stage.round() == ["a"]


def test_all_that_waited_for_a_failure_is_taken_back() -> None:
    stage = Stage()
    stage.queue.add([move(1, "a", "b"), move(2, "c", "a", 1), put(3, "c", 2), put(4, "d")])
    assert stage.queue.abandon(1) == {"a", "c"}
    assert sorted(stage.withdrawn) == [2, 3]
    assert not stage.queue.busy("c")
    assert stage.queue.busy("a"), "the move itself is still there"
    assert stage.round() == ["b", "d"]
    assert stage.queue.idle


def test_what_waits_for_two_and_lost_one_is_not_begun_by_the_other() -> None:
    stage = Stage()
    stage.queue.add([move(1, "a", "b"), move(2, "c", "d"), put(3, "x", 1, 2)])
    assert stage.queue.abandon(1) == {"x"}
    assert stage.round() == ["b", "d"]
    assert stage.round() == []


def test_what_waited_for_a_folder_waits_for_all_its_files_instead() -> None:
    stage = Stage()
    members = tuple(Move(row(f"p/{n}"), f"q/{n}", f"q/{n}", None) for n in "xy")
    folder = MoveFolder("p", "q", "p", "q", members)
    stage.queue.add([Job([(1, folder)]), put(2, "p/new", 1)])
    stage.queue.replace(1, [Job([(8, members[0])]), Job([(9, members[1])])])
    begun = stage.round()
    assert begun.count("p/new") == 0
    assert {"q/x", "q/y"} <= set(begun)
    assert stage.round() == ["p/new"]


def test_the_folders_of_a_move_are_busy_with_all_that_is_below() -> None:
    stage = Stage()
    folder = MoveFolder("p", "q", "p", "q", (Move(row("p/x"), "q/x", "q/x", None),))
    stage.queue.add([Job([(1, folder)])])
    assert stage.queue.busy("p/new")
    assert stage.queue.busy("q/deep/new")
    assert not stage.queue.busy("r/new")


def test_names_that_some_target_takes_for_one_are_busy_together() -> None:
    stage = Stage()
    stage.queue.add([delete(1, "Brief.pdf")])
    assert stage.queue.busy("brief.pdf")


def test_a_name_that_two_jobs_touch_is_busy_until_both_have_ended() -> None:
    stage = Stage()
    stage.queue.add([move(1, "a", "b"), put(2, "a", 1)])
    assert stage.round() == ["b"]
    assert stage.queue.busy("a")
    assert stage.round() == ["a"]
    assert not stage.queue.busy("a")


def test_a_step_that_is_not_due_is_passed_over() -> None:
    stage = Stage()
    stage.needless.add(MAKE)
    stage.queue.add([Job((), step=MAKE), put(1, "f/a", MAKE)])
    assert stage.round() == ["f/a"]


def test_a_folder_that_is_removed_is_busy_and_one_that_is_made_is_not() -> None:
    stage = Stage()
    stage.queue.add([Job((), step=MAKE), Job((), step=FolderStep("remove", "gone"))])
    assert stage.queue.busy("gone/new")
    assert not stage.queue.busy("f/new")
    assert stage.queue.pending(MAKE)


def test_sends_and_the_rest_leave_each_other_room() -> None:
    stage = Stage()
    stage.queue.add(delete(n, f"gone {n}") for n in range(20))
    stage.queue.add(put(n, f"new {n}") for n in range(20, 40))
    begun = stage.round()
    assert len([name for name in begun if name.startswith("new")]) == 4
    assert len([name for name in begun if name.startswith("gone")]) == 1


def test_one_connection_means_one_at_a_time() -> None:
    stage = Stage(connections=1, limit=1)
    stage.queue.add([delete(1, "a"), put(2, "b"), move(3, "c", "d")])
    assert [len(stage.round()) for _ in range(3)] == [1, 1, 1]


def test_what_is_withdrawn_is_as_if_it_had_never_been() -> None:
    stage = Stage()
    stage.queue.add([move(1, "a", "b"), put(2, "a", 1), Job((), step=MAKE), put(3, "f/x", MAKE)])
    assert stage.queue.withdraw() == {"a", "b", "f/x"}
    assert sorted(stage.withdrawn) == [1, 2, 3]
    assert stage.queue.idle
    assert not stage.queue.pending(MAKE)
    assert not stage.queue.busy("f/x")
