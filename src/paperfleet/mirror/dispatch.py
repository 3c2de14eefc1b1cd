"""Turn a plan into recorded operations and jobs that wait for each other where they have to."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from paperfleet.mirror.jobs import FolderStep, Job, Token, in_batches, in_rows
from paperfleet.mirror.planning.graph import Dependencies
from paperfleet.mirror.planning.order import takes_of
from paperfleet.model import Delete, Put
from paperfleet.storage.names import loose_key, parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.folders import TargetFolders
    from paperfleet.mirror.jobs import Task
    from paperfleet.mirror.planning.plan import Plan
    from paperfleet.mirror.queue import JobQueue
    from paperfleet.model import Operation


class Dispatcher:
    """Hands plans to the queue; nothing here waits."""

    def __init__(
        self,
        journal: Journal,
        work: JobQueue,
        folders: TargetFolders,
        connections: int,
        *,
        bulk: bool,
    ) -> None:
        self._journal, self._work, self._folders = journal, work, folders
        self._connections, self._bulk = connections, bulk

    def begin(self, work: Plan, fits_batch: Callable[[Operation], bool]) -> None:
        """Record and queue what is planned; ``fits_batch``: it may go unconditionally."""
        operations = work.operations
        if not operations:
            return
        self._folders.leaving(operations)
        numbers = self._journal.record(operations)
        self._work.add(
            _Wiring(work, numbers, self._folders, self._work).jobs(self._sends(fits_batch))
        )

    def remove_emptied(self) -> None:
        """Queue the removal of folders that lost their last file, where nothing is going on."""
        folders = [f for f in self._folders.emptied() if not self._work.busy(f)]
        steps = {folder: FolderStep("remove", folder) for folder in folders}
        waits = defaultdict[str, set[Token]](set)
        for folder, step in steps.items():
            for up in parents(folder):
                waits[up].add(step)
        self._work.add(
            Job((), after=frozenset(waits[folder]), step=step)
            for folder, step in steps.items()
            if not self._work.pending(FolderStep("make", folder))
        )

    def _sends(self, fits_batch: Callable[[Operation], bool]) -> Callable[[list[Task]], list[Job]]:
        def jobs(tasks: list[Task]) -> list[Job]:
            # A batch has no condition: nothing may be under its names.
            free = [task for task in tasks if self._bulk and fits_batch(task[1])]
            numbers = {number for number, _ in free}
            others = [task for task in tasks if task[0] not in numbers]
            return [*in_rows(others, self._connections), *in_batches(free)]

        return jobs


class _Wiring:
    """The jobs of one plan, each with what it waits for."""

    def __init__(
        self, work: Plan, numbers: Sequence[int], folders: TargetFolders, queue: JobQueue
    ) -> None:
        self._plan, self._numbers, self._queue = work, numbers, queue
        self._operations = work.operations
        self._order = Dependencies(work)
        self._first_put = len(self._operations) - len(work.puts) - len(work.deletes)
        self._after: list[set[Token]] = [
            {numbers[number] for number in before} for before in self._order.of
        ]
        self._steps: list[Job] = []
        self._clear_folders(folders)
        self._make_folders(folders)

    def jobs(self, sends: Callable[[list[Task]], list[Job]]) -> Iterator[Job]:
        """Yield the jobs; ``sends`` puts those together that wait at most for their folders."""
        yield from self._steps
        together: list[Task] = []
        into: dict[int, Token] = {}
        for number, operation, after in zip(
            self._numbers, self._operations, self._after, strict=True
        ):
            if not isinstance(operation, Put):
                yield Job([(number, operation)], after=frozenset(after))
                continue
            folder = FolderStep("make", operation.target_name.rpartition("/")[0])
            makes = {folder} if self._queue.pending(folder) or folder in self._made else set()
            if after:
                yield Job([(number, operation)], after=frozenset(after | makes))
            else:
                together.append((number, operation))
                into.update(dict.fromkeys([number] if makes else [], folder))
        for job in sends(together):
            yield job._replace(after=frozenset(into[n] for n, _ in job.tasks if n in into))

    def _clear_folders(self, folders: TargetFolders) -> None:
        """Let empty folders go that stand where a file is to be, or a moved folder."""
        taken = defaultdict[str, list[int]](list)
        for number, operation in enumerate(self._operations):
            if not isinstance(operation, Delete):
                taken[loose_key(takes_of(operation))].append(number)
        waits = defaultdict[str, set[Token]](set)
        for folder in folders.emptied():
            key = loose_key(folder)
            takers = [n for up in (key, *parents(key)) for n in taken.get(up, ())]
            step = FolderStep("remove", folder)
            if not takers or self._queue.pending(step):
                continue
            before = self._before(self._order.leaving(folder), min(takers))
            made = {FolderStep("make", folder)}
            made = {one for one in made if self._queue.pending(one)}
            after = frozenset(before | waits[folder] | made)
            self._steps.append(Job((), after=after, step=step))
            for up in parents(folder):
                waits[up].add(step)
            for number in takers:
                self._after[number].add(step)

    def _make_folders(self, folders: TargetFolders) -> None:
        """Make the folders of the sends, each once its parent is there."""
        missing = folders.missing(self._plan.puts, self._order.leaving)
        self._made = {FolderStep("make", folder) for folder in missing}
        for step in sorted(self._made, key=lambda s: (s.folder.count("/"), s.folder)):
            if self._queue.pending(step):
                continue
            parent = FolderStep("make", step.folder.rpartition("/")[0])
            above: set[Token] = {parent} if parent in self._made else set()
            before = self._before(self._order.of_folder(step.folder), self._first_put)
            self._steps.append(Job((), after=frozenset(before | above), step=step))

    def _before(self, operations: Iterable[int], end: int) -> set[Token]:
        return {self._numbers[number] for number in operations if number < end}
