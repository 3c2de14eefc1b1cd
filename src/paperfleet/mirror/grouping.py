"""Which sends go together in one request. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.model import ABSENT, Put

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.mirror.work import Task
    from paperfleet.model import Operation

BATCH_FILES, BATCH_BYTES = 50, 8_000_000
_SMALL_BYTES = 2_000_000


def grouped(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    """Put small new files together, for a target that takes batches; others go alone."""
    together: list[Task] = []
    for task in tasks:
        if _fits_batch(task[1]):
            together.append(task)
        else:
            yield [task]
    while together:
        count = _first_batch(together)
        yield together[:count]
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
