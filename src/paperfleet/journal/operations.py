"""Operations, from their record to their end."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from paperfleet.errors import JournalError
from paperfleet.journal.database import queries
from paperfleet.journal.known import doubt_known, from_row, write_known
from paperfleet.model import Delete, KnownFile, Move, MoveFolder, Operation, Put, overwrite_loss

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from paperfleet.journal.database import Database
    from paperfleet.model import Loss

    Result = tuple[int, Iterable[KnownFile], Iterable[str]]
    from collections.abc import Iterator, Mapping


def doubts_of(operation: Operation) -> Iterator[KnownFile]:
    """Yield the rows that the journal must hold, all unsure, when the outcome is unknown.

    The row of a name that may have got new content carries its digest in ``intended_sha256``, and
    an empty ``sha256`` since the name may be new. The row of a name that may have lost its content
    has no ``intended_sha256``.
    """
    match operation:
        case Put():
            yield _after_put(operation)
        case Move():
            yield from _after_move(operation)
        case MoveFolder():
            for member in operation.members:
                yield from _after_move(member)
        case Delete():
            yield _unsure(operation.known)
        case _:
            assert_never(operation)


def encode(operation: Operation) -> str:
    """Return the doubts of an operation as JSON text."""
    # Escapes would let lone surrogates pass that SQLite refuses.
    return json.dumps(list(doubts_of(operation)), ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> list[KnownFile]:
    """Return the rows that ``encode`` wrote."""
    return [KnownFile(*fields) for fields in json.loads(text)]


def _after_put(put: Put) -> KnownFile:
    source = put.source
    return KnownFile(
        name=source.name,
        target_name=put.target_name,
        size=source.size,
        sha256="",
        modified_ns=source.modified_ns,
        file_id=source.file_id,
        version=source.etag,
        target_etag=None,
        sure=False,
        intended_sha256=source.sha256,
    )


def _after_move(move: Move) -> Iterator[KnownFile]:
    yield _unsure(move.known)
    arrived = move.known._replace(
        name=move.new_name,
        target_name=move.target_name,
        sha256="",
        target_etag=None,
        sure=False,
        intended_sha256=move.known.sha256 or move.known.intended_sha256,
    )
    if move.source is not None:
        arrived = arrived._replace(
            modified_ns=move.source.modified_ns,
            file_id=move.source.file_id,
            version=move.source.etag,
        )
    yield arrived


def _unsure(known: KnownFile) -> KnownFile:
    return known._replace(sure=False)


class OperationState(enum.Enum):
    """Where an operation is. Only ``STORED`` states have a row; the others are its end."""

    RECORDED = "recorded"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"


class OperationStep(enum.Enum):
    """What happens to an operation."""

    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    WITHDRAW = "withdraw"
    DOUBT = "doubt"
    SETTLE = "settle"


STORED: Final = frozenset({OperationState.RECORDED, OperationState.RUNNING})

TRANSITIONS: Final[Mapping[tuple[OperationState, OperationStep], OperationState]] = {
    (OperationState.RECORDED, OperationStep.START): OperationState.RUNNING,
    (OperationState.RECORDED, OperationStep.WITHDRAW): OperationState.WITHDRAWN,
    (OperationState.RUNNING, OperationStep.COMPLETE): OperationState.DONE,
    (OperationState.RUNNING, OperationStep.FAIL): OperationState.FAILED,
    (OperationState.RUNNING, OperationStep.DOUBT): OperationState.UNKNOWN,
    # After a crash nothing is certain: a power cut may have taken the start of a recorded one.
    (OperationState.RECORDED, OperationStep.SETTLE): OperationState.UNKNOWN,
    (OperationState.RUNNING, OperationStep.SETTLE): OperationState.UNKNOWN,
}


def next_state(state: OperationState, step: OperationStep) -> OperationState:
    """Return the state after ``step``; raise ``JournalError`` when the table has no such step."""
    try:
        return TRANSITIONS[state, step]
    except KeyError:
        reason = f"An operation that is {state.value} cannot {step.value}"
        raise JournalError(reason, hint="This is a fault in Paperfleet; please report it") from None


_SQL = queries("operations")
_KINDS: Final = {Put: "put", Move: "move", MoveFolder: "move folder", Delete: "delete"}
_DELETE: Final = _KINDS[Delete]
_PUT: Final = _KINDS[Put]
_KEEP_DELETIONS: Final = 24 * 3600.0


class PendingOperation(NamedTuple):
    """One operation that has not ended: recorded or running, ``since`` its record (Unix time)."""

    kind: str
    name: str
    state: str
    since: float


class Operations:
    """The table of operations. Every step follows ``journal.states`` or raises."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def record(self, operations: Sequence[Operation]) -> list[int]:
        """Write down what is about to be tried, safe from a power cut; return the ids, in order."""
        now = self._clock()
        with self._database.transaction(durable=True) as connection:
            return [_insert(connection, operation, now) for operation in operations]

    def start(self, ids: Sequence[int]) -> None:
        """Note that these are being tried."""
        self._step_all(ids, OperationStep.START)

    def withdraw(self, ids: Sequence[int]) -> None:
        """Drop operations that were recorded and never tried."""
        self._step_all(ids, OperationStep.WITHDRAW)

    def fail(self, operation_id: int) -> None:
        """Drop an operation that was tried and certainly had no effect."""
        self._step_all([operation_id], OperationStep.FAIL)

    def complete(
        self, operation_id: int, upserts: Iterable[KnownFile] = (), forgets: Iterable[str] = ()
    ) -> None:
        """Drop an operation that took effect and write what is known now, in one transaction."""
        self.complete_many([(operation_id, upserts, forgets)])

    def complete_many(self, results: Iterable[Result]) -> None:
        """Complete several operations, each with its upserts and forgets, in one transaction."""
        deletions = 0
        with self._database.transaction() as connection:
            for operation_id, upserts, forgets in results:
                kind = _step(connection, operation_id, OperationStep.COMPLETE)
                rows = list(upserts)
                if kind == _PUT:  # before write_known: the row that it compares with goes then
                    _count_overwrites(connection, rows, self._clock())
                write_known(connection, rows, forgets)
                deletions += kind == _DELETE
            if deletions:
                _count_deletions(connection, deletions, self._clock())

    def doubt(self, operation_id: int) -> None:
        """Drop an operation whose outcome nobody saw and make all that it concerns unsure.

        Afterwards no row of its names is sure, and ``intended_sha256`` says what may be there now:
        see ``journal.doubts``.
        """
        with self._database.transaction() as connection:
            _doubt(connection, operation_id, OperationStep.DOUBT)

    def settle_leftovers(self) -> int:
        """Doubt every operation that an earlier run left behind; return how many there were."""
        with self._database.transaction(durable=True) as connection:
            ids = [row[0] for row in connection.execute(_SQL["ids"]).fetchall()]
            for operation_id in ids:
                _doubt(connection, operation_id, OperationStep.SETTLE)
        return len(ids)

    def pending(self, limit: int = -1) -> list[PendingOperation]:
        """Return the operations that have not ended, the oldest first; all for a limit of -1."""
        return [PendingOperation(*row) for row in self._database.rows(_SQL["pending"], (limit,))]

    def count_pending(self) -> int:
        """Return the number of operations that have not ended."""
        return int(self._database.value(_SQL["count"]))

    def deletions_since(self, when: float) -> int:
        """Return how many deletions were completed since ``when`` (Unix time), 24 h at most."""
        return int(self._database.rows(_SQL["deletions_since"], (when,))[0][0])

    def overwrites_since(self, when: float) -> dict[str, Loss]:
        """Return, by name, what files lost since ``when`` (Unix time), 24 h at most."""
        return dict(self._database.rows(_SQL["overwrites_since"], (when,)))

    def _step_all(self, ids: Iterable[int], step: OperationStep) -> None:
        with self._database.transaction() as connection:
            for operation_id in ids:
                _step(connection, operation_id, step)


def _insert(connection: sqlite3.Connection, operation: Operation, now: float) -> int:
    name = operation.old_name if isinstance(operation, MoveFolder) else operation.names[0]
    fields = (_KINDS[type(operation)], name, OperationState.RECORDED.value, now, encode(operation))
    operation_id = connection.execute(_SQL["insert"], fields).lastrowid
    if operation_id is None:  # cannot be after an INSERT; sqlite3 types it so
        raise JournalError("SQLite gave an operation no id")
    return operation_id


_ONLY_FROM: Final[Mapping[OperationStep, tuple[str, str]]] = {
    step: (state.value, after.value)
    for (state, step), after in TRANSITIONS.items()
    if [one for _, one in TRANSITIONS].count(step) == 1
}
"""The states before and after a step that only one state allows."""


def _step(connection: sqlite3.Connection, operation_id: int, step: OperationStep) -> str:
    """Take a step: store the next state, or drop the row of what has ended. Return the kind."""
    if step in _ONLY_FROM:  # one statement; when it does not meet its row, the others tell why
        before, after = _ONLY_FROM[step]
        if OperationState(after) in STORED:
            done = connection.execute(_SQL["advance"], (operation_id, before, after))
        else:
            done = connection.execute(_SQL["end"], (operation_id, before))
        for (kind,) in done.fetchall():
            return str(kind)
    return _step_by_table(connection, operation_id, step)


def _step_by_table(connection: sqlite3.Connection, operation_id: int, step: OperationStep) -> str:
    row = connection.execute(_SQL["state"], (operation_id,)).fetchone()
    if row is None:
        raise JournalError(
            f"Operation {operation_id} has ended or was never recorded",
            hint="This is a fault in Paperfleet; please report it",
        )
    kind, state = row
    after = next_state(OperationState(state), step)
    if after in STORED:
        connection.execute(_SQL["set_state"], (operation_id, after.value))
    else:
        connection.execute(_SQL["delete"], (operation_id,))
    return str(kind)


def _doubt(connection: sqlite3.Connection, operation_id: int, step: OperationStep) -> None:
    # Before the step, which drops the row that they stand in.
    doubts = connection.execute(_SQL["doubts"], (operation_id,)).fetchone()
    _step(connection, operation_id, step)
    doubt_known(connection, decode(doubts[0]))


def _count_deletions(connection: sqlite3.Connection, count: int, now: float) -> None:
    connection.execute(_SQL["count_deletions"], (now, count))
    connection.execute(_SQL["prune_deletions"], (now - _KEEP_DELETIONS,))


def _count_overwrites(
    connection: sqlite3.Connection, rows: Iterable[KnownFile], now: float
) -> None:
    """Remember which known files these rows give other content."""
    for row in rows:
        before = connection.execute(_SQL["before"], (row.name,)).fetchone()
        loss = overwrite_loss(from_row(before), row.size, row.sha256) if before else None
        if loss:
            connection.execute(_SQL["count_overwrite"], (row.name, now, loss))
            connection.execute(_SQL["prune_overwrites"], (now - _KEEP_DELETIONS,))
