"""What is queued for the target and what is under way, with its steps in the journal."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from concurrent.futures import wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from paperfleet.mirror.busy import BusyNames, TouchedNames
from paperfleet.mirror.ended import EndedJobs, Finished, Looked, StepDone
from paperfleet.mirror.execute import OperationResult
from paperfleet.model import Delete, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.batch import Batch, Observation
    from paperfleet.mirror.execute import Executor
    from paperfleet.mirror.jobs import FolderStep, Job, Token
    from paperfleet.mirror.parallelism import Parallelism
    from paperfleet.mirror.pool import Pool
    from paperfleet.model import Operation

    Answers = Sequence[OperationResult | Exception]


class Gate(Protocol):
    """Asked in the engine's thread right before a job begins."""

    def trusted_etag(self, operation: Operation) -> str | None:
        """Return the etag of a moved folder if all files in it were seen to be the mirror's."""
        ...

    def is_due(self, step: FolderStep) -> bool:
        """Say whether the step is still to be taken."""
        ...


@dataclass(slots=True, eq=False)
class _Waiting:
    """A job that waits for so many others."""

    job: Job
    left: int
    dropped: bool = False


class JobQueue:
    """Runs jobs and looks on a pool, as many at a time as the target takes well.

    A job begins once all that it waits for has come to a good end; nothing here waits for one.
    Who ends a job says what follows: ``release``, ``abandon`` or ``replace``.
    """

    def __init__(
        self,
        executor: Executor,
        journal: Journal,
        pool: Pool,
        parallelism: Parallelism,
        on_finish: Callable[[], None],
        connections: int = 8,
    ) -> None:
        self._executor = executor
        self._journal = journal
        self._pool = pool
        self._parallelism = parallelism
        self._on_finish = on_finish
        self._connections = connections
        self._early: deque[Job] = deque()
        self._sends: deque[Job] = deque()
        self._late: deque[Job] = deque()
        self._waiting: dict[Token, _Waiting] = {}
        self._blocked: defaultdict[Token, list[_Waiting]] = defaultdict(list)
        self._pending: set[Token] = set()
        self._running: dict[Future[Answers], tuple[Job, float]] = {}
        self._looking: dict[Future[Observation], Batch] = {}
        self._names = BusyNames()
        self._touched: TouchedNames | None = None

    @property
    def queued(self) -> int:
        """How many jobs wait for nothing but their turn."""
        return len(self._early) + len(self._sends) + len(self._late)

    @property
    def deletes(self) -> int:
        """How many deletes are queued or under way."""
        return sum(isinstance(operation, Delete) for operation in self._operations())

    @property
    def updates(self) -> list[Put]:
        """The sends over files that are there, queued or under way."""
        puts = [one for one in self._operations() if isinstance(one, Put)]
        return [put for put in puts if put.why == "updated"]

    @property
    def looking(self) -> int:
        """How many looks are under way."""
        return len(self._looking)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or under way."""
        return not (self.queued or self._waiting or self.running)

    @property
    def running(self) -> bool:
        """Whether anything is under way."""
        return bool(self._running or self._looking)

    def _unbegun(self) -> Iterator[Job]:
        yield from self._early
        yield from self._sends
        yield from self._late
        yield from (waiting.job for waiting in self._waiting.values())

    def _operations(self) -> Iterator[Operation]:
        jobs = [*self._unbegun(), *(job for job, _ in self._running.values())]
        return (operation for job in jobs for _, operation in job.tasks)

    def busy(self, name: str) -> bool:
        """Say whether the name, a folder above it or anything below it is queued or under way.

        '' is everything.
        """
        return self._names.touches(name) if name else not self.idle

    def doing(self, name: str) -> bool:
        """Say whether an operation on the name is queued or under way; a look is none."""
        looked_at = any(name in batch.names for batch in self._looking.values())
        return name in self._names and not looked_at

    def watch(self) -> TouchedNames:
        """Return the names that are touched from now on, as they come, until ``unwatch``.

        Nothing may be queued or under way.
        """
        if not self.idle:
            raise RuntimeError("what is under way already would be left out")
        self._touched = TouchedNames()
        return self._touched

    def unwatch(self) -> None:
        """Note no longer what is touched."""
        self._touched = None

    def pending(self, token: Token) -> bool:
        """Say whether this has not come to an end yet."""
        return token in self._pending

    def look(self, batch: Batch, look: Callable[[], Observation]) -> None:
        """Begin to look at a batch; its names are busy until it is collected."""
        self._names.add(batch.names)
        if self._touched is not None:
            self._touched.add(batch.touched)
        future = self._pool.submit(look)
        self._looking[future] = batch
        future.add_done_callback(lambda _: self._on_finish())

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs that may wait for each other and for what is pending."""
        added = list(jobs)
        self._pending.update(token for job in added for token in job.tokens)
        ready: list[Job] = []
        for job in added:
            self._names.add(job.names)
            if self._touched is not None:
                self._touched.add(job.touched)
            after = [token for token in job.after if token in self._pending]
            if not after:
                ready.append(job)
                continue
            waiting = self._waiting[job.tokens[0]] = _Waiting(job, len(after))
            for token in after:
                self._blocked[token].append(waiting)
        for job in ready:
            self._make_ready(job)

    def _make_ready(self, job: Job) -> None:
        late = all(
            isinstance(operation, Delete) and number not in self._blocked
            for number, operation in job.tasks
        )
        late = late and job.step is None
        (self._sends if job.is_send else self._late if late else self._early).append(job)

    def release(self, token: Token) -> None:
        """Let begin what waited for nothing but this, which has come to a good end."""
        self._pending.discard(token)
        for waiting in self._blocked.pop(token, ()):
            waiting.left -= 1
            if not waiting.left and not waiting.dropped:
                del self._waiting[waiting.job.tokens[0]]
                self._make_ready(waiting.job)

    def abandon(self, token: Token) -> set[str]:
        """Take back all that waited for this; return the source names that it was about."""
        dropped: list[Job] = []
        todo = [token]
        while todo:
            one = todo.pop()
            self._pending.discard(one)
            for waiting in self._blocked.pop(one, ()):
                if not waiting.dropped:
                    waiting.dropped = True
                    del self._waiting[waiting.job.tokens[0]]
                    dropped.append(waiting.job)
                    todo += waiting.job.tokens
        return self._take_back(dropped)

    def replace(self, token: Token, jobs: Sequence[Job]) -> None:
        """Queue jobs, and let what waited for this wait for all of them."""
        self.add(jobs)
        blocked = self._blocked.pop(token, [])
        for job in jobs:
            for instead in job.tokens:
                for waiting in blocked:
                    waiting.left += 1
                    self._blocked[instead].append(waiting)
        self._blocked[token] = blocked
        self.release(token)

    def withdraw(self) -> set[str]:
        """Take back what has not begun; return the source names that it was about."""
        jobs = list(self._unbegun())
        for queue in (self._early, self._sends, self._late, self._waiting, self._blocked):
            queue.clear()
        self._pending.difference_update(token for job in jobs for token in job.tokens)
        return self._take_back(jobs)

    def _take_back(self, jobs: Sequence[Job]) -> set[str]:
        tasks = [task for job in jobs for task in job.tasks]
        self._journal.withdraw([number for number, _ in tasks])
        for job in jobs:
            self._names.remove(job.names)
        return {name for _, operation in tasks for name in operation.names}

    def pump(self, gate: Gate) -> None:
        """Start as many queued jobs as may run at once.

        One send at least goes beside whatever else is under way, and the other way round.
        """
        started: list[Job] = []
        running = [job for job, _ in self._running.values()]
        sends = sum(job.is_send for job in running)
        others = len(running) - sends
        while (job := self._next(sends, others)) is not None:
            if job.step is not None and not gate.is_due(job.step):
                self._names.remove(job.names)
                self.release(job.step)
                continue
            started.append(job)
            sends, others = sends + job.is_send, others + (not job.is_send)
        if not started:
            return
        self._journal.start([number for job in started for number, _ in job.tasks])
        for job in started:
            self._submit(job, gate)

    def _next(self, sends: int, others: int) -> Job | None:
        """Take the next job that may run beside so many; what others may wait for goes first."""
        room = sends + others < self._connections
        beside = self._connections > 1
        other = others < max(1, self._connections - 1) and (room or (beside and not others))
        if self._early and other:
            return self._early.popleft()
        if self._sends and sends < self._parallelism.limit and (room or (beside and not sends)):
            return self._sends.popleft()
        return self._late.popleft() if self._late and other else None

    def _submit(self, job: Job, gate: Gate) -> None:
        trusted = gate.trusted_etag(job.tasks[0][1]) if len(job.tasks) == 1 else None
        future = self._pool.submit(lambda: self._carry_out(job, trusted))
        self._running[future] = job, time.monotonic()
        future.add_done_callback(lambda _: self._on_finish())

    def _carry_out(self, job: Job, folder_etag: str | None) -> Answers:
        if job.step is not None:
            self._executor.take(job.step)
            return ()
        puts = [operation for _, operation in job.tasks if isinstance(operation, Put)]
        if job.at_once:
            return self._executor.put_batch(puts)
        if len(job.tasks) > 1:
            return self._executor.put_each(puts, lambda: not self._pool.closed)
        return [self._executor.run(job.tasks[0][1], folder_etag)]

    def collect(self) -> EndedJobs:
        """Return what has ended since the last call; its names are free again."""
        ended = EndedJobs([], [], [])
        for future in [f for f in self._running if f.done()]:
            job, began = self._running.pop(future)
            self._names.remove(job.names)
            error = future.exception()
            if job.step is not None:
                ended.steps.append(StepDone(job.step, error))
            else:
                ended.finished.extend(self._finished(job, began, future, error))
        ended.looked.extend(self._end_look(f) for f in [f for f in self._looking if f.done()])
        return ended

    def _finished(
        self, job: Job, began: float, future: Future[Answers], error: BaseException | None
    ) -> Iterator[Finished]:
        outcomes: Sequence[OperationResult | BaseException] = (
            future.result() if error is None else [error] * len(job.tasks)
        )
        if job.is_send and not any(isinstance(outcome, BaseException) for outcome in outcomes):
            now = time.monotonic()
            puts = [operation for _, operation in job.tasks if isinstance(operation, Put)]
            size = sum(put.source.size for put in puts)
            requests = 1 if job.at_once else len(puts)
            self._parallelism.done(size, now - began, now, requests)
        if self._touched is not None:
            for outcome in outcomes:
                if isinstance(outcome, OperationResult):
                    self._touched.proven |= outcome.names
        pairs = zip(job.tasks, outcomes, strict=True)
        return (Finished(number, operation, outcome) for (number, operation), outcome in pairs)

    def _end_look(self, future: Future[Observation]) -> Looked:
        batch = self._looking.pop(future)
        self._names.remove(batch.names)
        return Looked(batch, future.exception() or future.result())

    def slow_down(self) -> None:
        """Take note that the target asked for fewer requests."""
        self._parallelism.throttled(time.monotonic())

    def wait(self, seconds: float) -> None:
        """Wait for what is under way, at most so long."""
        under_way: list[Future[Any]] = [*self._running, *self._looking]
        wait(under_way, timeout=seconds)
