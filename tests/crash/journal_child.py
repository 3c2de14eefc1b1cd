"""What a journal is told in a process that kills itself, and a model of it in plain memory."""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from unittest.mock import patch

from paperfleet.journal import database
from paperfleet.journal.journal import Journal
from paperfleet.journal.operations import OperationState, doubts_of
from paperfleet.model import (
    Delete,
    FileStat,
    Held,
    KnownFile,
    Move,
    MoveFolder,
    Operation,
    Put,
    overwrite_loss,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from paperfleet.model import Loss

STEPS = 80
DIGESTS = [f"{digit}" * 64 for digit in "0123456789abcdef"]


class Step(NamedTuple):
    """One call of the journal, and of the model: the name of the method and its arguments."""

    method: str
    arguments: tuple[Any, ...]


class Seen(NamedTuple):
    """All that can be seen of a journal."""

    known: list[KnownFile]
    pending: list[tuple[str, str]]
    deletions: int
    overwrites: dict[str, Loss]
    quarantined: list[tuple[str, int]]
    refused: list[str]
    fact: object
    etags: dict[str, str]


class Model:
    """The journal in plain memory."""

    def __init__(self) -> None:
        self.rows: dict[str, KnownFile] = {}
        self.operations: dict[int, tuple[Operation, OperationState]] = {}
        self.recorded = 0
        self.deletions = 0
        self.overwrites: dict[str, Loss] = {}
        self.attempts: dict[str, int] = {}
        self.refused: list[str] = []
        self.fact: object = None
        self.etags: dict[str, str] = {}

    def remember(self, upserts: Iterable[KnownFile], forgets: Iterable[str]) -> None:
        for name in forgets:
            self.rows.pop(name, None)
        self.rows.update({known.name: known for known in upserts})

    def record(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            self.recorded += 1
            self.operations[self.recorded] = (operation, OperationState.RECORDED)

    def start(self, ids: Sequence[int]) -> None:
        for operation_id in ids:
            self.operations[operation_id] = (
                self.operations[operation_id][0],
                OperationState.RUNNING,
            )

    def withdraw(self, ids: Sequence[int]) -> None:
        for operation_id in ids:
            del self.operations[operation_id]

    def fail(self, operation_id: int) -> None:
        del self.operations[operation_id]

    def complete(self, operation_id: int, upserts: list[KnownFile], forgets: list[str]) -> None:
        operation, _ = self.operations.pop(operation_id)
        self.deletions += isinstance(operation, Delete)
        for row in upserts if isinstance(operation, Put) else ():
            before = self.rows.get(row.name)
            if before and (loss := overwrite_loss(before, row.size, row.sha256)):
                self.overwrites[row.name] = loss
        self.remember(upserts, forgets)

    def doubt(self, operation_id: int) -> None:
        operation, _ = self.operations.pop(operation_id)
        for row in doubts_of(operation):
            old = self.rows.get(row.name, row)
            intended = row.intended_sha256 or old.intended_sha256
            self.rows[row.name] = old._replace(sure=False, intended_sha256=intended)

    def settle_leftovers(self) -> None:
        for operation_id in sorted(self.operations):
            self.doubt(operation_id)

    def quarantine(self, name: str, _reason: str, _hint: str, _next_try: float) -> None:
        self.attempts[name] = self.attempts.get(name, 0) + 1

    def release(self, names: list[str]) -> None:
        for name in names:
            self.attempts.pop(name, None)

    def refuse(self, held: dict[str, Held]) -> None:
        self.refused = sorted(held)

    def set_fact(self, _key: str, value: object) -> None:
        self.fact = value

    def set_folder_etags(self, etags: dict[str, str], gone: list[str]) -> None:
        for name in gone:
            self.etags.pop(name, None)
        self.etags.update(etags)

    def state(self) -> Seen:
        return Seen(
            [self.rows[name] for name in sorted(self.rows)],
            [(operation.names[0], state.value) for operation, state in self.operations.values()],
            self.deletions,
            dict(self.overwrites),
            sorted(self.attempts.items()),
            self.refused,
            self.fact,
            self.etags,
        )


def state_of(journal: Journal) -> Seen:
    return Seen(
        list(journal.known()),
        [
            (operation.name + "/0" * (operation.kind == "move folder"), operation.state)
            for operation in journal.pending()
        ],
        journal.deletions_since(0),
        journal.overwrites_since(0),
        [(entry.name, entry.attempts) for entry in journal.quarantined()],
        [refusal.name for refusal in journal.refusals()],
        journal.get_fact("fact"),
        journal.folder_etags(),
    )


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  # repeatable, not secret


def workload(seed: int) -> list[Step]:
    """Return the transactions of a seed; a model tells which operations are there to end."""
    chance, model, steps = seeded(seed), Model(), []
    for number in range(STEPS):
        step = _end_of_some(chance, model) if chance.random() < 0.5 else None
        step = step or _any_step(chance, number)
        getattr(model, step.method)(*step.arguments)
        steps.append(step)
    return steps


def _end_of_some(chance: random.Random, model: Model) -> Step | None:
    """Take a step with an operation that is recorded or running, if there is one."""
    if not model.operations:
        return None
    operation_id = chance.choice(sorted(model.operations))
    operation, state = model.operations[operation_id]
    if state is OperationState.RECORDED:
        return Step(chance.choice(["start", "start", "start", "withdraw"]), ([operation_id],))
    upserts = [] if isinstance(operation, Delete) else [_file(chance, operation.names[-1])]
    ends = [Step("complete", (operation_id, upserts, list(operation.names[:1])))] * 3
    return chance.choice([*ends, Step("doubt", (operation_id,)), Step("fail", (operation_id,))])


def _any_step(chance: random.Random, number: int) -> Step:
    names = [_name(chance) for _ in range(4)]
    return chance.choice(
        [
            Step("record", ([_operation(chance) for _ in range(chance.randrange(1, 6))],)),
            Step("record", ([_operation(chance)],)),
            Step("remember", ([_file(chance, name) for name in names[:3]], names[3:])),
            Step("quarantine", (names[0], "why", "hint", 5.0)),
            Step("release", (names,)),
            Step("refuse", ({name: Held("delete", "why") for name in names},)),
            Step("set_fact", ("fact", number)),
            Step("set_folder_etags", ({names[0]: f"e{number}", names[1]: "f"}, names[2:])),
        ]
    )


def _name(chance: random.Random) -> str:
    return f"{chance.randrange(3)}/{chance.randrange(8)}"


def _file(chance: random.Random, name: str) -> KnownFile:
    digest = chance.choice(DIGESTS)
    return KnownFile(name, f"T/{name}", chance.randrange(99), digest, 17, "1:2", None, '"e"')


def _operation(chance: random.Random) -> Operation:
    name, other = _name(chance), f"moved/{chance.randrange(9)}"
    source = FileStat(other, 5, 18, "v", "1:3", chance.choice(DIGESTS))
    move = Move(_file(chance, name), other, other, source)
    members = tuple(
        Move(_file(chance, f"{name}/{number}"), f"{other}/{number}", f"{other}/{number}", None)
        for number in range(2)
    )
    choices: list[Operation] = [
        Put(source._replace(name=name), name, "updated"),
        move,
        MoveFolder(name, other, name, other, members),
        Delete(_file(chance, name)),
    ]
    return chance.choice(choices)


def states(steps: list[Step]) -> list[Seen]:
    """Return the state before the first step and after each."""
    model, seen = Model(), []
    for step in [None, *steps]:
        if step is not None:
            getattr(model, step.method)(*step.arguments)
        state = model.state()
        seen.append(state._replace(etags=dict(state.etags)))
    return seen


def open_journal(path: Path) -> Journal:
    return Journal.open(path, source="s", target="t")


def child(path: Path, told: Path, seed: int, fatal_statement: int) -> None:
    """Work through the workload of ``seed``; say ``.`` after each step; die before a statement."""
    connect, count = database._connect, 0
    words = os.open(told, os.O_WRONLY)

    def die(_statement: str) -> None:
        nonlocal count
        count += 1
        if count == fatal_statement:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(file: Path, mode: Literal["ro", "rw"]) -> sqlite3.Connection:
        connection = connect(file, mode)
        connection.set_trace_callback(die)
        return connection

    with patch.object(database, "_connect", traced), open_journal(path) as journal:
        for step in workload(seed):
            getattr(journal, step.method)(*step.arguments)
            os.write(words, b".")
