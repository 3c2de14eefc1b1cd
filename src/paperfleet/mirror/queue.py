"""What is queued for the target and what is under way, with its steps in the journal."""

from __future__ import annotations

import time
from collections import Counter, deque
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from paperfleet.model import ABSENT, Delete, Put
from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.execute import Executor, OperationResult
    from paperfleet.mirror.parallelism import Parallelism
    from paperfleet.mirror.pool import Pool
    from paperfleet.mirror.prepare import Batch, Observation
    from paperfleet.model import Operation

BATCH_FILES, BATCH_BYTES = 50, 8_000_000
_SMALL_BYTES = 2_000_000
_ROW_FILES, _ROW_FILE_BYTES = 8, 1_000_000


def in_rows(tasks: Sequence[Task], threads: int) -> Iterator[Job]:
    """Let each of ``threads`` threads send several small files, one after the other.

    A file costs less so: its record in the journal and the way from thread to thread are shared.
    Only where there is enough for all of them to do; large files go alone.
    """
    small = [task for task in tasks if _is_small(task[1])]
    yield from (Job([task]) for task in tasks if not _is_small(task[1]))
    length = max(1, min(_ROW_FILES, len(small) // (2 * threads)))
    yield from (Job(small[at : at + length]) for at in range(0, len(small), length))


def _is_small(operation: Operation) -> bool:
    return isinstance(operation, Put) and operation.source.size <= _ROW_FILE_BYTES


def in_batches(tasks: Sequence[Task]) -> Iterator[Job]:
    """Put small new files together, for a target that takes batches; others go alone."""
    together: list[Task] = []
    for task in tasks:
        if _fits_batch(task[1]):
            together.append(task)
        else:
            yield Job([task])
    while together:
        count = _first_batch(together)
        yield Job(together[:count], at_once=count > 1)
        together = together[count:]


def _fits_batch(operation: Operation) -> bool:
    if not isinstance(operation, Put) or operation.expect != ABSENT:
        return False
    return operation.aside is None and operation.source.size <= _SMALL_BYTES


def _first_batch(tasks: Sequence[Task]) -> int:
    size = 0
    for count, (_, operation) in enumerate(tasks):
        size += operation.source.size if isinstance(operation, Put) else 0
        if count and (count >= BATCH_FILES or size > BATCH_BYTES):
            return count
    return len(tasks)


Task = tuple[int, "Operation"]
"""An operation with its number in the journal."""


class Job(NamedTuple):
    """What one thread is handed: one operation, or several sends.

    ``at_once``: the sends go with one request, to a target that takes batches; else one by one.
    """

    tasks: Sequence[Task]
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """One operation came to an end: ``outcome`` is what to write down, or why it failed."""

    number: int
    operation: Operation
    outcome: OperationResult | BaseException


@dataclass(frozen=True, slots=True)
class Looked:
    """A batch was looked at."""

    batch: Batch
    observation: Observation | BaseException


@dataclass(slots=True)
class _Running:
    tasks: Sequence[Task]
    began: float


class _Busy:
    """Names, and how many of them lie below each folder: there may be thousands."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._below: Counter[str] = Counter()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def any_below(self, folder: str) -> bool:
        """Say whether any of the names lies below a folder."""
        return folder in self._below

    def update(self, names: Iterable[str]) -> None:
        """Add names."""
        for name in set(names) - self._names:
            self._names.add(name)
            self._below.update(parents(name))

    def difference_update(self, names: Iterable[str]) -> None:
        """Take names away."""
        for name in self._names.intersection(names):
            self._names.remove(name)
            for folder in parents(name):
                self._below[folder] -= 1
                if not self._below[folder]:
                    del self._below[folder]


class JobQueue:
    """Runs operations and looks on a pool, as many at a time as the target takes well."""

    def __init__(
        self,
        executor: Executor,
        journal: Journal,
        pool: Pool,
        parallelism: Parallelism,
        on_finish: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._journal = journal
        self._pool = pool
        self._parallelism = parallelism
        self._on_finish = on_finish
        self._queue: deque[Job] = deque()
        self._running: dict[Future[Sequence[OperationResult | Exception]], _Running] = {}
        self._looking: dict[Future[Observation], Batch] = {}
        self._names = _Busy()

    @property
    def queued(self) -> int:
        """How many jobs wait for their turn."""
        return len(self._queue)

    @property
    def deletes(self) -> int:
        """How many deletes are queued or under way."""
        waiting = [job.tasks for job in self._queue]
        running = [running.tasks for running in self._running.values()]
        return sum(isinstance(op, Delete) for tasks in waiting + running for _, op in tasks)

    @property
    def updates(self) -> list[Put]:
        """The sends over files that are there, queued or under way."""
        waiting = [job.tasks for job in self._queue]
        running = [running.tasks for running in self._running.values()]
        puts = [op for tasks in waiting + running for _, op in tasks if isinstance(op, Put)]
        return [put for put in puts if put.why == "updated"]

    @property
    def looking(self) -> int:
        """How many looks are under way."""
        return len(self._looking)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or under way."""
        return not (self._queue or self._running or self._looking)

    @property
    def running(self) -> bool:
        """Whether anything is under way."""
        return bool(self._running or self._looking)

    def busy(self, name: str) -> bool:
        """Say whether the name, a folder above it or anything below it is queued or under way.

        '' is everything.
        """
        if not name:
            return not self.idle
        above = any(folder in self._names for folder in parents(name))
        return name in self._names or above or self._names.any_below(name)

    def doing(self, name: str) -> bool:
        """Say whether an operation on the name is queued or under way; a look is none."""
        looked_at = any(name in batch.names for batch in self._looking.values())
        return name in self._names and not looked_at

    def look(self, batch: Batch, look: Callable[[], Observation]) -> None:
        """Begin to look at a batch; its names are busy until it is collected."""
        self._names.update(batch.names)
        future = self._pool.submit(look)
        self._looking[future] = batch
        future.add_done_callback(lambda _: self._on_finish())

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs."""
        for job in jobs:
            self._queue.append(job)
            self._names.update(name for _, operation in job.tasks for name in operation.names)

    def pump(self) -> None:
        """Start as many queued jobs as may run at once."""
        started: list[Job] = []
        while self._queue and len(self._running) + len(started) < self._parallelism.limit:
            started.append(self._queue.popleft())
        if not started:
            return
        self._journal.start([number for job in started for number, _ in job.tasks])
        for job in started:
            self._submit(job)

    def run_now(
        self, tasks: Sequence[Task], folder_etag: Callable[[Operation], str | None]
    ) -> list[Finished]:
        """Run operations at once, wait for all of them, and return how they ended."""
        if not tasks:
            return []
        self._journal.start([number for number, _ in tasks])
        futures = [self._submit(Job([task]), folder_etag(task[1])) for task in tasks]
        wait(futures)
        return [one for future in futures for one in self._end(future)]

    def _submit(
        self, job: Job, folder_etag: str | None = None
    ) -> Future[Sequence[OperationResult | Exception]]:
        self._names.update(name for _, operation in job.tasks for name in operation.names)
        future = self._pool.submit(lambda: self._carry_out(job, folder_etag))
        self._running[future] = _Running(job.tasks, time.monotonic())
        future.add_done_callback(lambda _: self._on_finish())
        return future

    def _carry_out(
        self, job: Job, folder_etag: str | None
    ) -> Sequence[OperationResult | Exception]:
        puts = [operation for _, operation in job.tasks if isinstance(operation, Put)]
        if job.at_once:
            return self._executor.put_batch(puts)
        if len(job.tasks) > 1:
            return self._executor.put_each(puts, lambda: not self._pool.closed)
        return [self._executor.run(job.tasks[0][1], folder_etag)]

    def collect(self) -> tuple[list[Finished], list[Looked]]:
        """Return what has ended since the last call; its names are free again."""
        finished = [
            one for future in [f for f in self._running if f.done()] for one in self._end(future)
        ]
        looked = [self._end_look(future) for future in [f for f in self._looking if f.done()]]
        return finished, looked

    def _end(self, future: Future[Sequence[OperationResult | Exception]]) -> list[Finished]:
        running = self._running.pop(future)
        self._names.difference_update(n for _, operation in running.tasks for n in operation.names)
        error = future.exception()
        outcomes: Sequence[OperationResult | BaseException] = (
            future.result() if error is None else [error] * len(running.tasks)
        )
        if not any(isinstance(outcome, BaseException) for outcome in outcomes):
            self._measure(running)
        pairs = zip(running.tasks, outcomes, strict=True)
        return [Finished(number, operation, outcome) for (number, operation), outcome in pairs]

    def _end_look(self, future: Future[Observation]) -> Looked:
        batch = self._looking.pop(future)
        self._names.difference_update(batch.names)
        return Looked(batch, future.exception() or future.result())

    def _measure(self, running: _Running) -> None:
        now = time.monotonic()
        puts = [operation for _, operation in running.tasks if isinstance(operation, Put)]
        if puts:
            size = sum(put.source.size for put in puts)
            self._parallelism.done(size, now - running.began, now)

    def slow_down(self) -> None:
        """Take note that the target asked for fewer requests."""
        self._parallelism.throttled(time.monotonic())

    def withdraw(self) -> set[str]:
        """Take back what has not begun; return the source names that it was about."""
        tasks = [task for job in self._queue for task in job.tasks]
        self._queue.clear()
        self._journal.withdraw([number for number, _ in tasks])
        names = {name for _, operation in tasks for name in operation.names}
        self._names.difference_update(names)
        return names

    def wait(self, seconds: float) -> None:
        """Wait for what is under way, at most so long."""
        under_way: list[Future[Any]] = [*self._running, *self._looking]
        wait(under_way, timeout=seconds)
