"""One pass: scan names, look at what differs, plan, guard, record, hand over to the work."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from paperfleet.errors import StorageError
from paperfleet.mirror.accident import Accident
from paperfleet.mirror.batch import Batch, Observation, batches, portion, with_known, without
from paperfleet.mirror.dispatch import Dispatcher
from paperfleet.mirror.events import Done, Notice, Planned
from paperfleet.mirror.execute import OperationResult
from paperfleet.mirror.folders import TargetFolders
from paperfleet.mirror.jobs import BATCH_BYTES, BATCH_FILES
from paperfleet.mirror.outcomes import Outcomes
from paperfleet.mirror.planner import Planner
from paperfleet.mirror.planning.classify import arrived, target_name_of
from paperfleet.mirror.planning.guard import losses
from paperfleet.mirror.planning.plan import describe
from paperfleet.mirror.requests import Requests
from paperfleet.mirror.scan import scan
from paperfleet.mirror.strangers import Tally
from paperfleet.mirror.twins import TWINS, Twins, remembered_twins
from paperfleet.mirror.unreadable import is_hidden
from paperfleet.mirror.watch.changes import EVERYTHING
from paperfleet.mirror.weigh import Weigher
from paperfleet.storage.names import is_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.accident import Disk
    from paperfleet.mirror.ended import EndedJobs
    from paperfleet.mirror.finding import TargetFinding
    from paperfleet.mirror.options import Options
    from paperfleet.mirror.prepare import Observer
    from paperfleet.mirror.queue import JobQueue
    from paperfleet.mirror.scan import Pair, Scan
    from paperfleet.mirror.status import Status
    from paperfleet.mirror.watch.changes import Changes
    from paperfleet.model import FileStat, KnownFile, Operation
    from paperfleet.storage.full import FullStorage

_LOOK_FILES, _LOOK_BYTES = 400, 64_000_000
_FIRST_LOOK_FILES = 64
"""Of the first look, while there is nothing to send yet."""
_LOOKS_AHEAD = 2
_READ_FILES = 8
"""Files in doubt that one thread reads at the target, one after the other."""


class Reconciler:
    """Turns names to look at into recorded operations, and their ends into known state."""

    def __init__(
        self,
        source: FullStorage,
        target: FullStorage,
        journal: Journal,
        work: JobQueue,
        observer: Observer,
        record: Status,
        changes: Changes,
        options: Options,
        disk: Disk,
    ) -> None:
        self._source, self._target = source, target
        self._journal, self._work, self._observer = journal, work, observer
        self._record, self._changes, self._options = record, changes, options
        self._can = target.capabilities
        self._listing: dict[str, FileStat] | None = None
        self._absent: set[str] = set()
        self._folders = TargetFolders(target, journal, record.report)
        self._dispatcher = Dispatcher(
            journal,
            work,
            self._folders,
            options.connections,
            bulk=self._can.save_batch and options.bulk,
        )
        self._outcomes = Outcomes(journal, work, self._folders, record, changes, options.settle)
        self._strangers = Tally(journal)
        self._twins = remembered_twins(journal)
        self._accident = Accident(journal, disk)
        self._weigher = Weigher(journal, work, record, self._accident, options.limits)
        self._planner = Planner(source, target, journal, work, record, self._weigher, options)
        self._requests = Requests(journal, record, self._accident)
        self.backlog: dict[str, Pair] = {}
        self.renamed: set[tuple[str, str]] = set()
        self.sees_writers = True

    def accept(self, finding: TargetFinding) -> None:
        """Take over what a check of the target found; what it contradicts is looked at again."""
        if finding.listing is not None:
            self._listing = finding.listing
        self._absent = set(finding.absent)
        self._folders.accept(finding)
        self._strangers.accept(finding)
        self._take_unreadable(finding)
        self.doubt(finding.doubtful)
        self._journal.set_folder_etags(finding.trusted, finding.distrusted)

    def doubt(self, rows: Sequence[KnownFile]) -> None:
        """Look again at rows that the target contradicts; one in doubt that rests, in its time."""
        for row in rows:
            if row.sure:  # else it is our own send, cut off
                text = f"{row.name} was changed at the target by others"
                self._record.report(Notice(text, "info"))
        self._journal.remember(row._replace(sure=False) for row in rows)
        names = [row.name for row in rows if row.sure or not self._record.resting(row.name)]
        self._changes.put_back(names, time.monotonic(), 0.0)

    def _take_unreadable(self, finding: TargetFinding) -> None:
        """Take over what the check could not read; where it can again, all is looked at again."""
        if finding.unreadable is None:
            return
        opened = self._record.unreadable.keys() - finding.unreadable.keys()
        waiting = [
            name
            for name in self._record.in_quarantine()
            if is_hidden(target_name_of(name, self._can), opened)
        ]
        if opened:
            self._record.release(waiting)
            self._changes.put_back([EVERYTHING], time.monotonic(), 0.0)
        self._record.tell_unreadable(finding.unreadable)

    def scan(self, names: Sequence[str], *, first: bool) -> Planned | None:
        """Scan names; look at what may be a move now, and put the rest into the backlog.

        Returns what a scan of everything found to do. Raises ``NotAStorageError`` when the source
        is gone.
        """
        whole = EVERYTHING in names
        self._accident.look()
        found = scan(self._source, self._journal, names, self._left_out)
        self._record.source_fault = ""
        young = self._young(found.changed)
        self._changes.put_back(young, time.monotonic(), self._options.open_settle)
        if whole:
            self._accident.judge(found)
            self._record.counted(found)
            self.backlog.clear()
        self._record.doubt_mounts(self._accident.mount_fault)
        self._record.obstacles(found.obstacles, names)
        self._record.release_others(names, found.questions(self._left_out))
        changed = [
            pair
            for pair in found.changed
            if pair[0].name not in young and not (whole and self._record.resting(pair[0].name))
        ]
        # What rests with the new name of a move must not be deleted meanwhile.
        vanished = [k for k in found.vanished if not (whole and self._record.resting(k.name))]
        together, rest = batches(changed, vanished, self._renames(names))
        if self._weigher.is_much(changed):
            together, rest = with_known(together, rest)
        self._drop_obsolete_refusals(names, found)
        self.backlog.update((pair[0].name, pair) for pair in rest)
        if together.names:
            self._look(together)
        if not whole or not (changed or found.vanished):
            return None
        size = sum(stat.size for stat, _ in changed)
        return Planned(first, len(changed), size, 0, len(found.vanished), 0)

    def _young(self, changed: Iterable[Pair]) -> set[str]:
        """Return the files that somebody may still be writing, where no watcher would tell."""
        if self.sees_writers:
            return set()
        now, settle = time.time_ns(), self._options.open_settle * 1e9
        return {s.name for s, _ in changed if 0 <= now - (s.modified_ns or 0) < settle}

    def _left_out(self, name: str) -> bool:
        return self._changes.unsettled(name) or self._work.busy(name)

    def _renames(self, names: Sequence[str]) -> frozenset[tuple[str, str]]:
        pairs = frozenset(self.renamed)
        self.renamed.difference_update(pair for pair in pairs if set(pair) & set(names))
        return pairs

    def _drop_obsolete_refusals(self, names: Sequence[str], found: Scan) -> None:
        still = {k.name for k in found.vanished} | {stat.name for stat, k in found.changed if k}
        back = [n for n in self._record.refused if _under(n, names) and n not in still]
        if back:
            self._record.refuse({}, back)

    def feed(self) -> None:
        """Look at the next of the backlog, so far ahead that the target never waits."""
        bulk = self._can.save_batch and self._options.bulk
        while (
            self.backlog
            and self._work.looking < _LOOKS_AHEAD
            and self._work.queued < 2 * self._options.connections
        ):
            most = _FIRST_LOOK_FILES if self._work.idle else _LOOK_FILES
            files, size = (BATCH_FILES, BATCH_BYTES) if bulk else (most, _LOOK_BYTES)
            pairs = portion(self.backlog.values(), files, size)
            for stat, _ in pairs:
                del self.backlog[stat.name]
            free = [pair for pair in pairs if not self._left_out(pair[0].name)]
            self._changes.put_back(
                (stat.name for stat, _ in pairs if self._left_out(stat.name)), time.monotonic(), 0.0
            )
            for some in self._looked_at_together(free):
                self._look(Batch(some))
        if not self.backlog:
            self._dispatcher.remove_emptied()
        self._work.pump(self._folders)
        if not self.backlog and self._work.idle:
            self._listing = None
            if self._accident.unsettled:
                self._accident.settle([*self._record.refused, *self._record.in_quarantine()])
                self._record.doubt_mounts(self._accident.mount_fault)

    def _looked_at_together(self, pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
        """Part the files whose bytes at the target have to be read, so that many are at a time."""
        read = [
            (stat, known)
            for stat, known in pairs
            if known and not known.sure and known.name not in self._absent
        ]
        names = {stat.name for stat, _ in read}
        others = [pair for pair in pairs if pair[0].name not in names]
        if others:
            yield others
        yield from (read[at : at + _READ_FILES] for at in range(0, len(read), _READ_FILES))

    def _look(self, batch: Batch) -> None:
        listing = self._listing
        rows = [*(known for _, known in batch.changed if known), *batch.vanished]
        free = {
            known.target_name for known in rows if not known.sure and known.name in self._absent
        }
        twins, hidden = Twins(self._journal, frozenset(self._twins)), self._record.unreadable
        self._work.look(batch, lambda: self._observer.look(batch, listing, twins, free, hidden))

    def carry_out(self, batch: Batch, observation: Observation) -> None:
        """Plan what was looked at and queue it."""
        now = time.monotonic()
        self._changes.put_back(observation.moving, now, self._options.settle)
        batch, observation = self._settled(batch, observation)
        for name, error in observation.failed.items():
            if (delay := self._record.unseen(name, error, self._options.settle)) is not None:
                self._changes.put_back([name], now, delay)
        judged = self._planner.judge(self._without_moved(batch), observation)
        work = judged.plan
        known = {k.name: k for _, k in batch.changed if k}
        sends = (known[put.source.name] for put in work.puts if put.source.name in known)
        brought = (arrived(row, observation.target.get(row.target_name)) for row in sends)
        rows = [*filter(None, brought), *work.rows]
        self._journal.remember(rows, [f.name for f in work.forgets])
        self._record.release([*(row.name for row in work.rows), *(f.name for f in work.forgets)])
        self._note_twins(batch, observation)
        self._freed(f.name for f in work.forgets)
        self._folders.forgotten(target_name_of(f.name, self._can) for f in work.forgets)
        self._record.done([Done("adopted", name) for name in work.adopted])
        self._record.done([Done("let go", f.name) for f in work.forgets if f.foreign])
        for problem in work.problems:
            reason = StorageError(problem.reason, name=problem.name, hint=problem.hint)
            self._record.failed(problem.name, reason)
        # What is approved stays so until it is done: the server may fail on the way.
        going = losses(work, known).keys()
        self._record.refuse(judged.refused, batch.names - going)
        self._weigher.warn(judged.warning)
        self._dispatcher.begin(work, self._fits_batch)
        # Busy until their moves are done.
        self._changes.put_back(work.again, time.monotonic(), 0.0)

    def _note_twins(self, batch: Batch, observation: Observation) -> None:
        """Keep in mind which names wait for another one to be free."""
        before, names = self._twins, batch.names
        folded = {n: other for n, other in observation.folded.items() if n in observation.source}
        self._twins = {n: other for n, other in before.items() if n not in names} | folded
        if self._twins != before:
            self._journal.set_fact(TWINS, self._twins)

    def _freed(self, names: Iterable[str]) -> None:
        """Look again at what waited for names that are free now."""
        gone = set(names)
        waiting = [name for name, other in self._twins.items() if other in gone]
        self._changes.put_back(waiting, time.monotonic(), 0.0)

    def _settled(self, batch: Batch, observation: Observation) -> tuple[Batch, Observation]:
        """Leave out what changed again since it was scanned: its hint brings it back.

        Where files vanished too, all of the batch is looked at again: one may be what another was.
        """
        again = {name for name in batch.names if self._changes.unsettled(name)}
        if not again:
            return batch, observation
        if batch.vanished:
            self._changes.put_back(batch.names - again, time.monotonic(), self._options.settle)
            return Batch([]), Observation()
        return without(batch, observation, again)

    def _without_moved(self, batch: Batch) -> Batch:
        """Leave out what has been moved meanwhile: its new name was looked at in another batch."""
        now = self._journal.known_at(known.name for known in batch.vanished)
        return replace(batch, vanished=[k for k in batch.vanished if now.get(k.name) == k])

    def _fits_batch(self, operation: Operation) -> bool:
        """Say whether surely nothing is under its names, and no batch of it was lost before.

        What goes wrong with a batch says nothing of its files. Alone, each shows what it is.
        """
        if any(self._record.was_tried(name) for name in operation.names):
            return False
        return self._listing is not None or self._absent.issuperset(operation.names)

    def settle(self, ended: EndedJobs) -> StorageError | None:
        """Write down how operations ended; return an error of the target as a whole."""
        error = self._outcomes.settle(ended)
        self._absent -= self._outcomes.doubted
        self._outcomes.doubted.clear()
        results = (one.outcome for one in ended.finished)
        for result in results:
            if isinstance(result, OperationResult):
                self._freed(result.forgets)
        return error

    def count_strangers(self) -> None:
        """Write down how many files at the target are neither at the source nor known."""
        self._strangers.settle()

    def asked_for(self) -> list[str]:
        """Return the names that another process asks to be looked at; each once."""
        return [*self._requests.approved(), *self._requests.asked_for()]

    def describe(self) -> list[str]:
        """Return what a pass over everything would do; nothing is done."""
        self._accident.look()
        found = scan(self._source, self._journal, [EVERYTHING], lambda _: False)
        self._accident.judge(found)
        batch = Batch(found.changed, found.vanished)
        judged = self._planner.judge(
            batch,
            self._observer.look(
                batch, self._listing, Twins(self._journal, ()), hidden=self._record.unreadable
            ),
        )
        lines = describe(judged.plan)
        lines += [
            f"hold back {'delete' if held.loss == 'delete' else 'update'} {name}: {held.reason}"
            for name, held in judged.refused.items()
        ]
        lines += [f"warning: {judged.warning}"] if judged.warning else []
        return lines + [f"skip {o.name}: {o.reason}" for o in found.obstacles]


def _under(name: str, scope: Sequence[str]) -> bool:
    return any(name == folder or is_below(name, folder) for folder in scope)
