"""How operations ended: into the journal, and what each end means for what comes next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from paperfleet.errors import StorageError
from paperfleet.mirror.execute import OperationResult, UntriedError
from paperfleet.mirror.jobs import Job
from paperfleet.mirror.policy import ErrorEffect, Then, again_seconds, tried_together, verdict
from paperfleet.mirror.renames import FolderHasOthersError
from paperfleet.model import MoveFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.ended import EndedJobs, Finished
    from paperfleet.mirror.folders import TargetFolders
    from paperfleet.mirror.queue import JobQueue
    from paperfleet.mirror.status import Status
    from paperfleet.mirror.watch.changes import Changes
    from paperfleet.model import Operation


class Outcomes:
    """Turns ends into known state, doubts, quarantine, and the beginning of what waited."""

    def __init__(
        self,
        journal: Journal,
        work: JobQueue,
        folders: TargetFolders,
        record: Status,
        changes: Changes,
        settle: float,
    ) -> None:
        self._journal, self._work, self._folders = journal, work, folders
        self._record, self._changes, self._settle = record, changes, settle
        self.doubted: set[str] = set()
        """Names of which nobody knows any longer what is at the target; who reads it clears it."""

    def settle(self, ended: EndedJobs) -> StorageError | None:
        """Write down how operations ended; return an error of the target as a whole."""
        good = [
            (one, one.outcome) for one in ended.finished if isinstance(one.outcome, OperationResult)
        ]
        self._journal.complete_many([(one.number, r.rows, r.forgets) for one, r in good])
        for one, result in good:
            self._record.done(result.events)
            self._work.release(one.number)
        # Names that may belong together are looked at again at the same moment.
        now = time.monotonic()
        error: StorageError | None = None
        for one in ended.finished:
            if isinstance(one.outcome, BaseException):
                error = self._failed(one, one.outcome, now) or error
        for step in ended.steps:
            error = self._folders.settle(step) or error
            self._work.release(step.step)
        return error

    def _failed(self, one: Finished, error: BaseException, now: float) -> StorageError | None:
        if isinstance(error, FolderHasOthersError) and isinstance(one.operation, MoveFolder):
            self._journal.fail(one.number)
            self._folders.leaving(one.operation.members)
            self._work.replace(one.number, list(self._single_moves(one.operation)))
            return None
        if isinstance(error, UntriedError):
            self._journal.fail(one.number)
            self._look_again(one, now, 0.0)
            return None
        effect, then = verdict(error)
        if effect is ErrorEffect.UNKNOWN:
            self._journal.doubt(one.number)
            self.doubted.update(one.operation.names)
            self._record.sweep_due = True
        else:
            self._journal.fail(one.number)
        return self._next_step(one, error, then, now)

    def _single_moves(self, folder: MoveFolder) -> Iterator[Job]:
        numbers = self._journal.record(folder.members)
        for number, member in zip(numbers, folder.members, strict=True):
            yield Job([(number, member)])

    def _next_step(
        self, one: Finished, error: BaseException, then: Then, now: float
    ) -> StorageError | None:
        operation: Operation = one.operation
        if then is Then.PAUSE and isinstance(error, StorageError):
            self._look_again(one, now, 0.0)
            return error
        if then is Then.QUARANTINE or not self._record.again(operation.names[-1]):
            for name in tried_together(operation):
                self._record.failed(name, error)
            self._changes.put_back(self._work.abandon(one.number), now, self._settle)
            return None
        self._look_again(one, now, again_seconds(error, self._settle))
        return error if then is Then.PAUSE_AND_COUNT and isinstance(error, StorageError) else None

    def _look_again(self, one: Finished, now: float, delay: float) -> None:
        """Look at the operation's names again, together with those that waited for it."""
        names = {*one.operation.names, *self._work.abandon(one.number)}
        self._changes.put_back(names, now, delay)
