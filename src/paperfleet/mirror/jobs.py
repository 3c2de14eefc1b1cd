"""Jobs: what one thread is handed, and how operations and folders are put together to them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

from paperfleet.model import ABSENT, Move, MoveFolder, Put

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.model import Operation

BATCH_FILES, BATCH_BYTES = 50, 8_000_000
_SMALL_BYTES = 2_000_000
_ROW_FILES, _ROW_FILE_BYTES = 24, 1_000_000


def in_rows(tasks: Sequence[Task], threads: int) -> Iterator[Job]:
    """Let each of ``threads`` threads send several small files, one after the other.

    A file costs less so: its record in the journal, the way from thread to thread, and the look at
    what arrived are shared. That look is at a folder, so those of one folder stay together. Only
    where there is enough for all threads to do; large files go alone.
    """
    in_folder = defaultdict[str, list[Task]](list)
    for task in tasks:
        if (folder := _folder_of_small(task[1])) is None:
            yield Job([task])
        else:
            in_folder[folder].append(task)
    small = sum(map(len, in_folder.values()))
    longest = max(1, min(_ROW_FILES, small // (2 * threads)))
    row: list[Task] = []
    for together in in_folder.values():
        if row and len(row) + len(together) > longest:
            yield Job(row)
            row = []
        row = row + together
        parts = -(-len(row) // longest)
        while parts > 1:
            length = -(-len(row) // parts)
            yield Job(row[:length])
            row, parts = row[length:], parts - 1
    if row:
        yield Job(row)


def _folder_of_small(operation: Operation) -> str | None:
    if isinstance(operation, Put) and operation.source.size <= _ROW_FILE_BYTES:
        return operation.target_name.rpartition("/")[0]
    return None


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


class FolderStep(NamedTuple):
    """A folder of the target that is made ahead, or removed when nothing is in it any more."""

    action: Literal["make", "remove"]
    folder: str


Task = tuple[int, "Operation"]
"""An operation with its number in the journal."""

Token = int | FolderStep
"""What a job may wait for: the number of an operation, or what is done to a folder."""


class Job(NamedTuple):
    """What one thread is handed: one operation, several sends, or a step of a folder.

    ``at_once``: the sends go with one request, to a target that takes batches; else one by one.
    ``after``: what has to come to a good end before.
    """

    tasks: Sequence[Task]
    at_once: bool = False
    after: frozenset[Token] = frozenset()
    step: FolderStep | None = None

    @property
    def tokens(self) -> tuple[Token, ...]:
        """What others wait for that wait for this job."""
        return tuple(number for number, _ in self.tasks) if self.step is None else (self.step,)

    @property
    def names(self) -> set[str]:
        """Every name at the source or the target that is touched."""
        if self.step is not None:
            # What goes into a folder that is being made need not wait to be looked at.
            return {self.step.folder} if self.step.action == "remove" else set()
        return {name for _, operation in self.tasks for name in _touched(operation)}

    @property
    def touched(self) -> set[str]:
        """Every name of which a look at the target beside it cannot tell."""
        return self.names if self.step is None else {self.step.folder}

    @property
    def is_send(self) -> bool:
        """Whether it sends content."""
        return bool(self.tasks) and isinstance(self.tasks[0][1], Put)


def _touched(operation: Operation) -> tuple[str, ...]:
    if isinstance(operation, MoveFolder):
        targets = (operation.old_name, operation.new_name)
        return (*operation.names, *targets, operation.old_target, operation.new_target)
    if isinstance(operation, Put):
        return (*operation.names, operation.target_name)
    if isinstance(operation, Move):
        return (*operation.names, operation.known.target_name, operation.target_name)
    return (*operation.names, operation.known.target_name)
