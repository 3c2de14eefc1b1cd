"""What the mirror asks of the target as a whole, beside the work: nothing waits for an answer."""

from __future__ import annotations

import enum
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import CredentialsError, Scope, StorageError
from paperfleet.mirror.events import Notice
from paperfleet.mirror.finding import still_contradicted
from paperfleet.mirror.target import TargetCheck

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.busy import TouchedNames
    from paperfleet.mirror.finding import TargetFinding
    from paperfleet.mirror.pool import Pool
    from paperfleet.mirror.queue import JobQueue
    from paperfleet.mirror.status import Status
    from paperfleet.model import KnownFile
    from paperfleet.storage.full import FullStorage

_ASKED_FOR = "paperfleet"
"""Whether there is such a file does not matter: the target has answered."""


class Question(enum.Enum):
    """What may be asked, each by one thread at a time."""

    FIRST = "is it apart from the source, and what does it hold"
    COMPARE = "does it hold what the journal knows"
    AWAKE = "does it answer again"
    ROOM = "how much room is there"


class TargetAnswer(NamedTuple):
    """An answer of the target, or why there is none.

    ``finding`` is of a look at all of it; ``partial``: something was touched meanwhile.
    """

    question: Question
    error: BaseException | None = None
    finding: TargetFinding | None = None
    partial: bool = False


class _Reply(NamedTuple):
    """What a thread brings back; ``unswept``: why temporary files stay."""

    finding: TargetFinding | None = None
    swept: bool = False
    unswept: StorageError | None = None
    free: int | None = None


class Contact:
    """Asks on threads of the pool. All methods belong to the engine's thread.

    Operations go on beside a look at the whole target. So its finding leaves out what the mirror
    touched meanwhile; a row that is contradicted there is kept in mind, and counts once nothing is
    under way for it (``TargetFinding.without``).
    """

    def __init__(
        self,
        target: FullStorage,
        journal: Journal,
        work: JobQueue,
        pool: Pool,
        record: Status,
        on_answer: Callable[[], None],
        prove_apart: Callable[[], object],
    ) -> None:
        self._target, self._journal = target, journal
        self._work, self._pool, self._record = work, pool, record
        self._on_answer, self._prove_apart = on_answer, prove_apart
        self._check = TargetCheck(target, journal)
        self.by_etags = self._check.by_etags
        self._asked: dict[Question, Future[_Reply]] = {}
        self._touched: TouchedNames | None = None
        self._doubts = 0
        self._unclear: dict[str, KnownFile] = {}

    @property
    def unclear(self) -> bool:
        """Whether the target contradicts rows for which something is under way."""
        return bool(self._unclear)

    def ask(self, question: Question) -> None:
        """Begin to ask, unless that is being asked already.

        For a look at everything (``FIRST``, ``COMPARE``) nothing may be queued or under way.
        """
        if question in self._asked:
            return
        future = self._pool.submit(self._asking(question))
        self._asked[question] = future
        future.add_done_callback(lambda _: self._on_answer())

    def ask_for_room(self) -> None:
        """Ask for the free room now and then, while something does not fit."""
        now = time.monotonic()
        if self._record.room.question_is_due(now):
            self._record.room.asked(now)
            self.ask(Question.ROOM)

    def check_now(self) -> TargetFinding:
        """Compare in this thread; nothing may be under way at the target meanwhile."""
        return self._check.check()

    def _asking(self, question: Question) -> Callable[[], _Reply]:
        if question is Question.AWAKE:
            return self._awake
        if question is Question.ROOM:
            return self._room
        self._touched = self._work.watch()
        self._doubts = self._record.doubts
        sweep = self._record.sweep_due
        if question is Question.COMPARE:
            return lambda: self._compared(sweep=sweep)
        return lambda: self._first(sweep=sweep)

    def _first(self, *, sweep: bool) -> _Reply:
        self._prove_apart()
        return self._compared(sweep=sweep)

    def _compared(self, *, sweep: bool) -> _Reply:
        unswept = self._unswept() if sweep else None
        return _Reply(self._check.check(), sweep and unswept is None, unswept)

    def _unswept(self) -> StorageError | None:
        """Remove the temporary files of saves that ended in doubt, now or in an earlier run.

        Returns why some stay. They are in nobody's way; the next look at the target tries again.
        """
        try:
            self._target.sweep(older_than=0.0)
        except CredentialsError:
            raise
        except StorageError as error:
            return error
        return None

    def _awake(self) -> _Reply:
        self._target.exists(_ASKED_FOR)
        return _Reply()

    def _room(self) -> _Reply:
        try:
            return _Reply(free=self._target.free_bytes())
        except StorageError as error:
            if error.scope is Scope.STORAGE:
                raise
            return _Reply()  # it may not be asked for that; the usual rest is all there is

    def collect(self) -> list[TargetAnswer]:
        """Return the answers that have come since the last call."""
        ended = [question for question, future in self._asked.items() if future.done()]
        return [self._answer(question, self._asked.pop(question)) for question in ended]

    def _answer(self, question: Question, future: Future[_Reply]) -> TargetAnswer:
        touched = self._touched
        if question in {Question.FIRST, Question.COMPARE}:
            self._work.unwatch()
            self._touched = None
        if error := future.exception():
            return TargetAnswer(question, error)
        reply = future.result()
        if question is Question.ROOM:
            self._record.room.told(reply.free)
        if reply.unswept is not None:
            text = f"Temporary files stay at the target: {reply.unswept.reason}"
            self._record.report(Notice(text, "info"))
        if reply.swept and self._record.doubts == self._doubts:
            self._record.swept(claims=self._target.capabilities.move_in_two)
        if reply.finding is None or touched is None:
            return TargetAnswer(question)
        finding, unclear = reply.finding.without(touched)
        self._unclear |= {row.name: row for row in unclear}
        return TargetAnswer(question, finding=finding, partial=bool(touched))

    def contradicted(self) -> list[KnownFile]:
        """Return the rows that the target contradicted while something was under way, each once.

        Those for which that has ended and that say the same of the target as before. What has
        changed the target's side of a row meanwhile has seen the target itself.
        """
        free = [
            row
            for row in self._unclear.values()
            if not (self._work.busy(row.name) or self._work.busy(row.target_name))
        ]
        if not free:
            return []
        now = self._journal.known_at(row.name for row in free)
        for row in free:
            del self._unclear[row.name]
        return [now[row.name] for row in free if still_contradicted(row, now.get(row.name))]

    def wait(self, seconds: float) -> None:
        """Wait for what is being asked, at most so long."""
        wait(self._asked.values(), timeout=seconds)
