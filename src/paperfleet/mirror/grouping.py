"""Which sends one thread is handed at once. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.mirror.work import Errand
from paperfleet.model import ABSENT, Put

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.mirror.work import Task
    from paperfleet.model import Operation

BATCH_FILES, BATCH_BYTES = 50, 8_000_000
_SMALL_BYTES = 2_000_000
_ROW_FILES, _ROW_FILE_BYTES = 8, 1_000_000


def in_rows(tasks: Sequence[Task], threads: int) -> Iterator[Errand]:
    """Let each of ``threads`` threads send several small files, one after the other.

    A file costs less so: its record in the journal and the way from thread to thread are shared.
    Only where there is enough for all of them to do; large files go alone.
    """
    small = [task for task in tasks if _is_small(task[1])]
    yield from (Errand([task]) for task in tasks if not _is_small(task[1]))
    length = max(1, min(_ROW_FILES, len(small) // (2 * threads)))
    yield from (Errand(small[at : at + length]) for at in range(0, len(small), length))


def _is_small(operation: Operation) -> bool:
    return isinstance(operation, Put) and operation.source.size <= _ROW_FILE_BYTES


def in_batches(tasks: Sequence[Task]) -> Iterator[Errand]:
    """Put small new files together, for a target that takes batches; others go alone."""
    together: list[Task] = []
    for task in tasks:
        if _fits_batch(task[1]):
            together.append(task)
        else:
            yield Errand([task])
    while together:
        count = _first_batch(together)
        yield Errand(together[:count], at_once=count > 1)
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
