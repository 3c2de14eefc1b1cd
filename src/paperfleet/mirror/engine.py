"""The mirror: one loop in which data passes from watch to scan, plan, guard, journal, target."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from paperfleet.errors import CredentialsError, StorageError
from paperfleet.mirror.accident import NoDisk
from paperfleet.mirror.events import Notice, Paused, Resumed, Started
from paperfleet.mirror.execute import Executor
from paperfleet.mirror.parallelism import Parallelism
from paperfleet.mirror.policy import pause_seconds
from paperfleet.mirror.pool import Pool
from paperfleet.mirror.prepare import Observer
from paperfleet.mirror.proof import Proof
from paperfleet.mirror.queue import JobQueue
from paperfleet.mirror.reconcile import Reconciler
from paperfleet.mirror.room import Room
from paperfleet.mirror.schedule import Happening, Intervals, Schedule
from paperfleet.mirror.status import FINDINGS, UPLOADS, Status
from paperfleet.mirror.target import TargetCheck
from paperfleet.mirror.watch.changes import Changes
from paperfleet.storage import abilities

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.accident import Disk
    from paperfleet.mirror.events import Reporter
    from paperfleet.mirror.options import Options
    from paperfleet.mirror.queue import Looked
    from paperfleet.mirror.watch.choose import Watcher
    from paperfleet.storage.protocol import DocumentStorage

EVERYTHING = ""
_HEARTBEAT_SECONDS = 5.0
_QUIET_SECONDS = 1.0
_SOURCE_GONE_SECONDS = 5.0
_LAST_WORK_SECONDS = 6.0
_LAST_REQUESTS_SECONDS = 3.0
_TRIES_ONCE = 4
_ASKED_FOR = "paperfleet"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended: files to be tried again, deletes that wait, whether it converged."""

    failed: int
    refused: int
    converged: bool


class Mirror:
    """Keeps a target equal to a source.

    Use it as a context manager; then ``run`` until ``stop``, or ``run_once``. All methods but
    ``stop`` belong to one thread.
    """

    def __init__(
        self,
        source: DocumentStorage,
        target: DocumentStorage,
        journal: Journal,
        watcher: Watcher,
        options: Options,
        report: Reporter,
        *,
        disk: Disk | None = None,
        prove_apart: Callable[[], object] = lambda: None,
    ) -> None:
        self._source, self._target = source, target
        self._journal, self._watcher = journal, watcher
        self._options, self._report = options, report
        self._changes = Changes(options.settle, options.open_settle)
        self._check = TargetCheck(target, journal)
        self._record = Status(journal, report, Room(target))
        self._proof = Proof(options.verify, journal.get_fact(UPLOADS))
        abilities.adopt_findings(target, journal.get_fact(FINDINGS))
        self._pool = Pool(options.connections + 3)
        self._work = JobQueue(
            Executor(source, target, self._proof),
            journal,
            self._pool,
            Parallelism(most=options.connections),
            watcher.wake,
            options.connections,
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
        self._prove_apart = prove_apart
        self._stopping = threading.Event()
        self._stack = ExitStack()
        self._began = time.monotonic()
        intervals = Intervals(
            options.scan_interval, options.target_check, _QUIET_SECONDS, _HEARTBEAT_SECONDS
        )
        self._schedule = Schedule.starting(self._began, intervals)
        self._pause_error: StorageError | None = None
        self._source_error: StorageError | None = None

    def __enter__(self) -> Self:
        """Open the storages and begin to watch: nothing that happens from now on is missed."""
        self._stack.enter_context(self._source)
        self._stack.enter_context(self._target)
        self._stack.enter_context(self._watcher)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Finish or safely abandon what is under way; the journal says which."""
        self._pool.close()
        try:
            self._work.withdraw()
            self._work.wait(_LAST_WORK_SECONDS)
            self._settle_finished()
            self._record.heartbeat("stopped", self._watcher.description)
            self._note_uploads()
            self._record.end()
        finally:
            self._stack.close()

    def stop(self) -> None:
        """End ``run`` soon; safe from any thread and from a signal handler.

        Requests that are under way have a few seconds; what they were about is in the journal.
        """
        self._stopping.set()
        for storage in (self._source, self._target):
            abilities.end_requests(storage, _LAST_REQUESTS_SECONDS)
        self._watcher.wake()

    def run(self) -> RunOutcome:
        """Mirror until ``stop``; wait out whatever passes by itself.

        Raises ``CredentialsError`` at the first refused login, as servers count them, and, before
        the target has ever answered, whatever says that it is not one (``NotAStorageError`` …).
        """
        self._begin()
        while not self._stopping.is_set():
            self._turn()
            error = self._pause_error
            hopeless = isinstance(error, CredentialsError) or not self._schedule.contacted
            if error and hopeless and not error.transient:
                raise error
        return self._outcome()

    def run_once(self) -> RunOutcome:
        """Mirror until source and target agree, then return.

        Raises the ``StorageError`` that kept source or target out of reach: a wrong password at
        once, an absent server after a few tries.
        """
        quick = self._schedule.intervals._replace(quiet=0.0)
        self._schedule = replace(self._schedule, intervals=quick)
        self._begin()
        while not (self._stopping.is_set() or (self._schedule.first_done and self._settled())):
            self._turn()
            patience = self._schedule.failures < _TRIES_ONCE
            if self._pause_error and not (self._pause_error.transient and patience):
                raise self._pause_error
            if self._source_error:
                raise self._source_error
        return self._outcome()

    def plan(self) -> list[str]:
        """Return what a run would do now, line by line, and do nothing at the target."""
        self._begin()
        self._reconciler.accept(self._check.check())
        return self._reconciler.describe()

    def _begin(self) -> None:
        self._record.begin()
        leftovers = self._journal.settle_leftovers()
        if leftovers:
            self._record.sweep_due = True
            text = f"{leftovers} operations were cut off; their files are looked at first"
            self._report(Notice(text, "info"))
        labels = abilities.label_of(self._source), abilities.label_of(self._target)
        self._report(Started(*labels, self._watcher.description))

    def _outcome(self) -> RunOutcome:
        record = self._record
        return RunOutcome(record.failing(), len(record.refused), self._settled())

    def _turn(self) -> None:
        """Take what has happened, begin what is due, wait for more."""
        self._hear(self._patience())
        self._settle_finished()
        now = time.monotonic()
        try:
            if not self._is_paused(now):
                self._begin_due(now)
        except StorageError as error:
            self._pause(error)
        self._note_convergence(time.monotonic())
        self._beat(time.monotonic())

    def _hear(self, seconds: float) -> None:
        """Take hints, and wait so long for one."""
        hints = self._watcher.wait(seconds)
        self._changes.add(hints, time.monotonic())
        self._reconciler.renamed.update((h.name, h.partner) for h in hints if h.partner)
        self._reconciler.renamed.update((h.partner, h.name) for h in hints if h.partner)

    def _take(self, happening: Happening, pause: float = 0.0) -> None:
        self._schedule = self._schedule.after(happening, time.monotonic(), pause)

    def _patience(self) -> float:
        now = time.monotonic()
        settles = self._changes.next_due(now)
        backlog = bool(self._reconciler.backlog)
        return self._schedule.patience(now, settles, idle=self._work.idle, backlog=backlog)

    def _begin_due(self, now: float) -> None:
        if not self._schedule.contacted:
            self._contact(now)
        self._changes.put_back(self._record.due_again(), now, 0.0)
        if self._schedule.scan_is_due(now):
            self._take(Happening.SCAN_BEGUN)
            self._changes.put_back([EVERYTHING], now, 0.0)
        resting = self._work.idle and not self._reconciler.backlog
        if resting and self._schedule.check_is_due(now, cheap=self._check.by_etags):
            self._look_at_target()
        self._take_changes(now)
        self._reconciler.feed()

    def _contact(self, now: float) -> None:
        """Look at the target for the first time; then everything is scanned."""
        self._prove_apart()
        self._look_at_target()
        self._take(Happening.CONTACTED)
        self._record.contacted()
        # Due in this turn: what was just listed is used for it.
        self._changes.put_back([EVERYTHING], now, 0.0)

    def _sweep(self) -> None:
        """Remove the temporary files of saves that ended in doubt, now or in an earlier run."""
        if not self._record.sweep_due:
            return
        try:
            abilities.sweep(self._target, older_than=0.0)
        except CredentialsError:
            raise
        except StorageError as error:
            # They are in nobody's way; the next look at the target tries again.
            self._report(Notice(f"Temporary files stay at the target: {error.reason}", "info"))
        else:
            self._record.swept(claims=abilities.capabilities_of(self._target).move_in_two)

    def _look_at_target(self) -> None:
        """Compare the target with the journal; what it contradicts is looked at again."""
        self._sweep()
        finding = self._check.check()
        self._reconciler.accept(finding)
        # One in doubt that rests is looked at when its time has come.
        rows = (row for row in finding.doubtful if row.sure or not self._record.resting(row.name))
        self._changes.put_back((row.name for row in rows), time.monotonic(), 0.0)
        self._take(Happening.CHECKED)

    def _take_changes(self, now: float) -> None:
        names = self._changes.take(now, self._work.busy)
        if not names:
            return
        self._reconciler.sees_writers = self._watcher.sees_writers
        try:
            planned = self._reconciler.scan(names, first=not self._schedule.first_done)
        except StorageError as error:
            self._source_gone(names, error, now)
            return
        self._source_error = None
        if planned is not None:
            self._report(planned)
        self._take(Happening.PLANNED)

    def _source_gone(self, names: list[str], error: StorageError, now: float) -> None:
        """Do nothing at all while the source cannot be read: absent is not empty."""
        self._source_error = error
        if self._record.source_fault != error.reason:
            self._record.source_fault = error.reason
            self._report(Notice(str(error), "error"))
        self._changes.put_back([*names, EVERYTHING], now, _SOURCE_GONE_SECONDS)

    def _settle_finished(self) -> None:
        ended = self._work.collect()
        finished, looked = ended.finished, ended.looked
        if finished or ended.steps:
            self._take(Happening.ENDED)
            if self._check.by_etags:
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
        if self._schedule.paused or self._pool.closed:
            self._take_back()  # what came in the place of something that was under way

    def _settle_look(self, one: Looked) -> StorageError | None:
        """Plan what was looked at; return an error of the target as a whole."""
        if isinstance(one.observation, StorageError):
            self._changes.put_back(one.batch.names, time.monotonic(), 0.0)
            return one.observation
        if isinstance(one.observation, BaseException):
            raise one.observation
        if self._schedule.paused or self._pool.closed:
            self._changes.put_back(one.batch.names, time.monotonic(), 0.0)
        else:
            self._reconciler.carry_out(one.batch, one.observation)
        return None

    def _pause(self, error: StorageError) -> None:
        """Send nothing for a while; what is queued goes back to be looked at again."""
        if self._schedule.paused:
            return
        seconds = pause_seconds(error, self._schedule.failures + 1, self._options.pause)
        self._work.slow_down()
        self._take(Happening.PAUSED, seconds)
        self._pause_error = error
        self._record.pause(Paused(error.message, error.hint, time.time() + seconds))
        self._take_back()

    def _take_back(self) -> None:
        self._changes.put_back(self._work.withdraw(), time.monotonic(), 0.0)

    def _is_paused(self, now: float) -> bool:
        """Say whether requests must wait; at the end of a pause one request asks."""
        if not self._schedule.paused:
            return False
        if not self._schedule.pause_is_over(now):
            return True
        self._take(Happening.RESUMED)
        self._pause_error = None
        if self._work.running:
            # A look at everything has to wait until nothing is under way; the rest has not.
            self._target.exists(_ASKED_FOR)
            self._take(Happening.CHECK_WANTED)
        elif self._schedule.contacted:
            self._look_at_target()
        else:
            self._contact(now)
        self._record.resume(Resumed())
        return False

    def _settled(self) -> bool:
        return (
            self._schedule.contacted
            and not self._schedule.paused
            and not self._record.source_fault
            and self._work.idle
            and not self._reconciler.backlog
            and not self._changes
            and not (self._schedule.check_wanted and self._check.by_etags)
        )

    def _note_convergence(self, now: float) -> None:
        if not self._settled():
            return
        self._reconciler.count_strangers()
        if not self._schedule.unsettled:
            return
        first, seconds = not self._schedule.first_done, now - self._began
        self._report(self._record.synced(first=first, seconds=seconds))
        self._take(Happening.SYNCED)

    def _beat(self, now: float) -> None:
        if not self._schedule.heartbeat_is_due(now):
            return
        self._take(Happening.BEAT)
        settled = self._settled()
        state = "paused" if self._schedule.paused else "idle" if settled else "syncing"
        waiting = len(self._reconciler.backlog) + len(self._changes)
        self._record.heartbeat(state, self._watcher.description, settled=settled, waiting=waiting)
        self._note_uploads()
        self._changes.put_back(self._reconciler.asked_for(), now, 0.0)

    def _note_uploads(self) -> None:
        self._record.uploads(self._proof.counts())
        self._record.findings(abilities.findings(self._target))
