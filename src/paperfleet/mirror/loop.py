"""The loop in which data passes from watch to scan, plan, guard, journal, target. Nothing waits."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from paperfleet.errors import StorageError, is_at_work
from paperfleet.mirror.accident import NoDisk
from paperfleet.mirror.contact import Contact, Question
from paperfleet.mirror.events import Notice, Paused, Resumed, Started
from paperfleet.mirror.execute import Executor
from paperfleet.mirror.parallelism import Parallelism
from paperfleet.mirror.policy import pause_seconds
from paperfleet.mirror.pool import Pool
from paperfleet.mirror.prepare import Observer
from paperfleet.mirror.proof import Proof
from paperfleet.mirror.queue import JobQueue
from paperfleet.mirror.reconcile import Reconciler
from paperfleet.mirror.schedule import Happening, Intervals, Schedule
from paperfleet.mirror.status import FINDINGS, UPLOADS, Status
from paperfleet.mirror.watch.changes import EVERYTHING, Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.accident import Disk
    from paperfleet.mirror.contact import TargetAnswer
    from paperfleet.mirror.ended import Looked
    from paperfleet.mirror.events import Reporter
    from paperfleet.mirror.options import Options
    from paperfleet.mirror.watch.choose import Watcher
    from paperfleet.storage.full import FullStorage

_HEARTBEAT_SECONDS = 5.0
_QUIET_SECONDS = 1.0
_SOURCE_GONE_SECONDS = 5.0
_LAST_WORK_SECONDS = 6.0
_BESIDE = 5
"""Threads for what goes on beside the operations: looks at names, questions to the target."""


class Loop:
    """Takes what has happened and begins what is due, turn by turn, in one thread.

    ``pause_error``: for what nothing is sent; ``source_error``: why the source cannot be read.
    """

    def __init__(
        self,
        source: FullStorage,
        target: FullStorage,
        journal: Journal,
        watcher: Watcher,
        options: Options,
        report: Reporter,
        disk: Disk | None,
        prove_apart: Callable[[], object],
    ) -> None:
        self._source, self._target = source, target
        self._journal, self._watcher = journal, watcher
        self._options, self._report = options, report
        self._changes = Changes(options.settle, options.open_settle)
        self._record = Status(journal, report)
        self._proof = Proof(options.verify, journal.get_fact(UPLOADS))
        target.adopt_findings(journal.get_fact(FINDINGS))
        self._pool = Pool(options.connections + _BESIDE)
        self._work = JobQueue(
            Executor(source, target, self._proof),
            journal,
            self._pool,
            Parallelism(most=options.connections),
            watcher.wake,
            options.connections,
        )
        self._contact = Contact(
            target, journal, self._work, self._pool, self._record, watcher.wake, prove_apart
        )
        observer = Observer(source, target, options.adopt)
        self._reconciler = Reconciler(
            source,
            target,
            journal,
            self._work,
            observer,
            self._record,
            self._changes,
            options,
            disk or NoDisk(),
        )
        self._began = time.monotonic()
        intervals = Intervals(
            options.scan_interval, options.target_check, _QUIET_SECONDS, _HEARTBEAT_SECONDS
        )
        self.schedule = Schedule.starting(self._began, intervals)
        self.pause_error: StorageError | None = None
        self.source_error: StorageError | None = None

    def begin(self) -> None:
        """Take note of what an earlier run left."""
        self._record.begin()
        leftovers = self._journal.settle_leftovers()
        if leftovers:
            self._record.sweep_due = True
            text = f"{leftovers} operations were cut off; their files are looked at first"
            self._report(Notice(text, "info"))
        labels = self._source.label, self._target.label
        self._report(Started(*labels, self._watcher.description))

    def hurry(self) -> None:
        """Compare the target as soon as nothing is under way."""
        quick = self.schedule.intervals._replace(quiet=0.0)
        self.schedule = replace(self.schedule, intervals=quick)

    def end(self) -> None:
        """Finish or safely abandon what is under way; the journal says which."""
        self._pool.close()
        self._work.withdraw()
        last = time.monotonic() + _LAST_WORK_SECONDS
        self._work.wait(_LAST_WORK_SECONDS)
        self._contact.wait(max(0.0, last - time.monotonic()))
        self._settle_finished()
        self._record.heartbeat("stopped", self._watcher.description)
        self._note_uploads()
        self._record.end()

    def plan(self) -> list[str]:
        """Return what the next turns would do, line by line, and do nothing at the target."""
        self._reconciler.accept(self._contact.check_now())
        return self._reconciler.describe()

    def counts(self) -> tuple[int, int]:
        """Return how many files are to be tried again, and how many wait for a person."""
        return self._record.failing(), len(self._record.refused)

    def turn(self) -> None:
        """Take what has happened, begin what is due, wait for more."""
        self._hear(self._patience())
        self._settle_finished()
        self._settle_answers()
        now = time.monotonic()
        if not self._is_paused(now):
            self._begin_due(now)
        self._note_convergence(time.monotonic())
        self._beat(time.monotonic())

    def _hear(self, seconds: float) -> None:
        """Take hints, and wait so long for one."""
        hints = self._watcher.wait(seconds)
        self._changes.add(hints, time.monotonic())
        self._reconciler.renamed.update((h.name, h.partner) for h in hints if h.partner)
        self._reconciler.renamed.update((h.partner, h.name) for h in hints if h.partner)

    def _take(self, happening: Happening, pause: float = 0.0) -> None:
        self.schedule = self.schedule.after(happening, time.monotonic(), pause)

    def _patience(self) -> float:
        now = time.monotonic()
        settles = self._changes.next_due(now)
        backlog = bool(self._reconciler.backlog)
        return self.schedule.patience(now, settles, idle=self._work.idle, backlog=backlog)

    def _begin_due(self, now: float) -> None:
        if not self.schedule.contacted:
            self._ask(Question.FIRST)  # nothing is sent before it has answered
            return
        self._contact.ask_for_room()
        self._changes.put_back(self._record.due_again(), now, 0.0)
        if self.schedule.scan_is_due(now):
            self._take(Happening.SCAN_BEGUN)
            self._changes.put_back([EVERYTHING], now, 0.0)
        self._take_changes(now)
        self._reconciler.feed()
        # Last: what is begun beside a look it cannot tell of.
        if self._rests() and self.schedule.check_is_due(now, cheap=self._contact.by_etags):
            self._compare()

    def _rests(self) -> bool:
        return self._work.idle and not self._reconciler.backlog

    def _ask(self, question: Question) -> None:
        """Ask whether the target is there; nothing else is asked of it meanwhile."""
        self._contact.ask(question)
        self._take(Happening.ASKED)

    def _compare(self) -> None:
        """Begin to compare the target with the journal, beside whatever comes."""
        self._contact.ask(Question.COMPARE)
        self._take(Happening.CHECK_BEGUN)

    def _settle_answers(self) -> None:
        for answer in self._contact.collect():
            question, error = answer.question, answer.error
            if question in {Question.FIRST, Question.AWAKE}:
                self._take(Happening.ANSWERED)
            elif question is Question.COMPARE:
                self._take(Happening.CHECK_ENDED)
            if isinstance(error, StorageError):
                self._pause(error, asked=question in {Question.FIRST, Question.AWAKE})
            elif error is not None:
                raise error
            else:
                self._settle_answer(answer)
        if rows := self._contact.contradicted():
            self._reconciler.doubt(rows)

    def _settle_answer(self, answer: TargetAnswer) -> None:
        if answer.finding is not None:
            self._reconciler.accept(answer.finding)
            self._take(Happening.CHECKED)
            if answer.partial and self._contact.by_etags:
                self._take(Happening.CHECK_WANTED)
        if answer.question in {Question.FIRST, Question.AWAKE} and self.schedule.paused:
            self._take(Happening.RESUMED)
            self.pause_error = None
            self._record.resume(Resumed())
        if answer.question is Question.AWAKE and self._rests() and not self.schedule.checking:
            self._compare()
        if answer.question is Question.FIRST:
            self._take(Happening.CONTACTED)
            self._record.contacted()
            # Due in this turn: what was just listed is used for it.
            self._changes.put_back([EVERYTHING], time.monotonic(), 0.0)

    def _take_changes(self, now: float) -> None:
        names = self._changes.take(now, self._work.busy)
        if not names:
            return
        self._reconciler.sees_writers = self._watcher.sees_writers
        try:
            planned = self._reconciler.scan(names, first=not self.schedule.first_done)
        except StorageError as error:
            self._source_gone(names, error, now)
            return
        self.source_error = None
        if planned is not None:
            self._report(planned)
        self._take(Happening.PLANNED)

    def _source_gone(self, names: list[str], error: StorageError, now: float) -> None:
        """Do nothing at all while the source cannot be read: absent is not empty."""
        self.source_error = error
        if self._record.source_fault != error.reason:
            self._record.source_fault = error.reason
            self._report(Notice(str(error), "info" if is_at_work(error) else "error"))
        self._changes.put_back([*names, EVERYTHING], now, _SOURCE_GONE_SECONDS)

    def _settle_finished(self) -> None:
        ended = self._work.collect()
        finished, looked = ended.finished, ended.looked
        if finished or ended.steps:
            self._take(Happening.ENDED)
            if self._contact.by_etags:
                self._take(Happening.CHECK_WANTED)
        error = self._reconciler.settle(ended)
        if error is not None:
            self._pause(error)
        if looked:
            self._hear(0.0)  # what was written while it was read is not settled any more
        for one in looked:
            error = self._settle_look(one) or error
            if error is not None:
                self._pause(error)
        if finished and error is None:
            self._take(Happening.SUCCEEDED)
        if self.schedule.paused or self._pool.closed:
            self._take_back()  # what came in the place of something that was under way

    def _settle_look(self, one: Looked) -> StorageError | None:
        """Plan what was looked at; return an error of the target as a whole."""
        if isinstance(one.observation, StorageError):
            self._changes.put_back(one.batch.names, time.monotonic(), 0.0)
            return one.observation
        if isinstance(one.observation, BaseException):
            raise one.observation
        if self.schedule.paused or self._pool.closed:
            self._changes.put_back(one.batch.names, time.monotonic(), 0.0)
        else:
            self._reconciler.carry_out(one.batch, one.observation)
        return None

    def _pause(self, error: StorageError, *, asked: bool = False) -> None:
        """Send nothing for a while; what is queued goes back to be looked at again.

        ``asked``: the target was asked at the end of a pause.
        """
        if self.schedule.paused and not asked:
            return
        seconds = pause_seconds(error, self.schedule.failures + 1, self._options.pause)
        self._work.slow_down()
        self._take(Happening.PAUSED, seconds)
        self.pause_error = error
        self._record.pause(Paused(error.message, error.hint, time.time() + seconds))
        self._take_back()

    def _take_back(self) -> None:
        self._changes.put_back(self._work.withdraw(), time.monotonic(), 0.0)

    def _is_paused(self, now: float) -> bool:
        """Say whether requests must wait; at the end of a pause one request asks."""
        if self.schedule.pause_is_over(now):
            self._ask(Question.AWAKE if self.schedule.contacted else Question.FIRST)
        return self.schedule.paused

    def settled(self) -> bool:
        """Say whether source and target were compared, and all that can be done is done."""
        return (
            self.schedule.contacted
            and not (self.schedule.paused or self.schedule.checking or self._contact.unclear)
            and not self._record.source_fault
            and self._rests()
            and not self._changes
            and not (self.schedule.check_wanted and self._contact.by_etags)
        )

    def _note_convergence(self, now: float) -> None:
        if not self.settled():
            return
        self._reconciler.count_strangers()
        if not self.schedule.unsettled:
            return
        first, seconds = not self.schedule.first_done, now - self._began
        self._report(self._record.synced(first=first, seconds=seconds))
        self._take(Happening.SYNCED)

    def _beat(self, now: float) -> None:
        if not self.schedule.heartbeat_is_due(now):
            return
        self._take(Happening.BEAT)
        settled = self.settled()
        state = "paused" if self.schedule.paused else "idle" if settled else "syncing"
        waiting = len(self._reconciler.backlog) + len(self._changes)
        self._record.heartbeat(state, self._watcher.description, settled=settled, waiting=waiting)
        self._note_uploads()
        self._changes.put_back(self._reconciler.asked_for(), now, 0.0)

    def _note_uploads(self) -> None:
        self._record.uploads(self._proof.counts())
        self._record.findings(self._target.findings())
