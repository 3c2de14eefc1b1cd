"""Which operation of a plan has to wait for which other one, so that the rest need not. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from paperfleet.mirror.planning.order import frees_of, takes_of
from paperfleet.model import Delete, Put
from paperfleet.storage.names import loose_key, parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from paperfleet.mirror.planning.plan import Plan
    from paperfleet.model import Move, MoveFolder, Operation


class Dependencies:
    """What must have succeeded at the target before an operation, or a folder, has its turn.

    An operation waits only for those of earlier stages: deletes that make room, waves of moves,
    sends, deletes. Names that some target takes for one count as one. Numbers are positions in
    ``Plan.operations``.
    """

    def __init__(self, work: Plan) -> None:
        self._frees = defaultdict[str, list[int]](list)
        self._frees_below = defaultdict[str, list[int]](list)
        self._fills = defaultdict[str, list[int]](list)
        self._brings: dict[str, int] = {}
        self.of: list[frozenset[int]] = []
        """For each operation, the operations that it waits for."""
        for stage in (work.clearing, *work.moves, work.puts, work.deletes):
            self._add(stage)

    def of_folder(self, folder: str) -> frozenset[int]:
        """Return what must come before a folder is made: what stands there, or brings it."""
        return frozenset(self._above(loose_key(folder)))

    def leaving(self, folder: str) -> frozenset[int]:
        """Return the operations that take something out of a folder, or take it away."""
        key = loose_key(folder)
        return frozenset([*self._frees_below.get(key, ()), *self._frees.get(key, ())])

    def _add(self, stage: Sequence[Operation]) -> None:
        first = len(self.of)
        self.of += [frozenset(self._blockers(operation)) for operation in stage]
        for number, operation in enumerate(stage, first):
            if isinstance(operation, Put):
                self._brings.setdefault(operation.source.sha256 or "", number)
                continue
            left = loose_key(_leaves(operation))
            self._frees[left].append(number)
            for folder in parents(left):
                self._frees_below[folder].append(number)
            if not isinstance(operation, Delete):
                self._fills[loose_key(takes_of(operation))].append(number)

    def _blockers(self, operation: Operation) -> Iterator[int]:
        if not isinstance(operation, Put):
            # The second half of a move through a passing name moves what the first brought.
            yield from _all(self._fills, loose_key(_leaves(operation)))
        if not isinstance(operation, Delete):
            if not self._frees:
                return  # nothing is taken away or moved, as in most plans
            taken = loose_key(takes_of(operation))
            yield from self._above(taken)
            yield from self._frees_below.get(taken, ())
        elif operation.known.sha256 and operation.known.sha256 in self._brings:
            # Content that goes to another name as a new file is there before it goes from here.
            yield self._brings[operation.known.sha256]

    def _above(self, name: str) -> Iterator[int]:
        """Yield what frees or fills a name or a folder above it."""
        yield from _all(self._frees, name)
        yield from _all(self._fills, name)


def _leaves(operation: Move | MoveFolder | Delete) -> str:
    if isinstance(operation, Delete):
        return operation.known.target_name
    return frees_of(operation)


def _all(table: dict[str, list[int]], name: str) -> Iterable[int]:
    return [number for up in (name, *parents(name)) for number in table.get(up, ())]
