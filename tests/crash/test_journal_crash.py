"""The journal after SIGKILL and after a power cut: whole transactions, none of those promised lost.

The child works through a seeded list of transactions and kills itself at the n-th SQL statement,
the creation of the journal included.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.crash.journal_child import (
    STEPS,
    Model,
    Step,
    child,
    open_journal,
    seeded,
    state_of,
    states,
    workload,
)
from tests.crash.pairs import processes

from paperfleet.journal.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from tests.crash.journal_child import Seen

pytestmark = pytest.mark.crash


@contextmanager
def started_child(
    path: Path, seed: int, fatal_statement: int = -1
) -> Iterator[tuple[ForkServerProcess, io.FileIO]]:
    """Run a child; return it, and what it says."""
    told = path.with_name("told")
    os.mkfifo(told)
    killed = processes.Process(target=child, args=(path, told, seed, fatal_statement))
    killed.start()
    with io.FileIO(told) as words:
        yield killed, words
    killed.join(30)
    assert killed.exitcode == -signal.SIGKILL


def check_after_kill(path: Path, seed: int, confirmed: int) -> None:
    """See that what was confirmed is there and nothing is half; then finish the workload."""
    steps = workload(seed)
    expected = states(steps)
    with Journal.open(path, source="s", target="t") as journal:
        found = state_of(journal)
        assert found in expected[confirmed : confirmed + 2]
        done = confirmed if found == expected[confirmed] else confirmed + 1
        for step in steps[done:]:
            getattr(journal, step.method)(*step.arguments)
        assert state_of(journal) == expected[-1]
    check_settled(path, steps)


def check_settled(path: Path, steps: list[Step]) -> None:
    """See that the next start doubts what was left over."""
    model = Model()
    for step in steps:
        getattr(model, step.method)(*step.arguments)
    leftovers = len(model.operations)
    model.settle_leftovers()
    with open_journal(path) as journal:
        assert journal.settle_leftovers() == leftovers
        assert state_of(journal) == model.state()


@pytest.mark.parametrize("statement", [*range(1, 36, 3), *range(40, 360, 23)])
def test_killed_before_a_statement(tmp_path: Path, statement: int) -> None:
    path = tmp_path / "journal.sqlite"
    with started_child(path, seed=statement, fatal_statement=statement) as (_, words):
        confirmed = words.readall()
    assert len(confirmed) < STEPS
    check_after_kill(path, statement, len(confirmed))


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    path, chance = tmp_path / "journal.sqlite", seeded(seed)
    with started_child(path, seed) as (killed, words):
        confirmed = 0
        for _ in range(chance.randrange(1, STEPS // 2)):
            confirmed += len(words.read(1))
        time.sleep(chance.random() / 1000)
        killed.kill()
        confirmed += len(words.readall())
    check_after_kill(path, seed, confirmed)


@pytest.mark.parametrize("seed", range(3))
def test_a_power_cut_takes_whole_transactions_and_spares_what_was_recorded(
    tmp_path: Path, seed: int
) -> None:
    """Of what was not synchronised the disk may hold any beginning: the log is cut everywhere."""
    path, steps = tmp_path / "journal.sqlite", workload(seed)
    expected = states(steps)
    log = path.with_name("journal.sqlite-wal")
    with open_journal(path) as journal:
        durable = {log.stat().st_size: 0}
        for number, step in enumerate(steps, 1):
            getattr(journal, step.method)(*step.arguments)
            if step.method == "record":
                durable[log.stat().st_size] = number
        shutil.copy(path, tmp_path / "image")
        shutil.copy(log, tmp_path / "image-wal")
    assert len(durable) > 5
    first, whole = min(durable), (tmp_path / "image-wal").stat().st_size
    kept = 0
    for length in sorted({*durable, *seeded(seed).sample(range(first, whole), 30), whole}):
        at_least = durable.get(length, kept)
        kept = _surviving(tmp_path, length, expected[at_least:]) + at_least
    assert expected[kept] == expected[-1]


def _surviving(folder: Path, length: int, expected: list[Seen]) -> int:
    """Return which of the states a journal has whose log is cut at ``length`` bytes."""
    cut = folder / f"cut-{length}"
    shutil.copy(folder / "image", cut)
    shutil.copy(folder / "image-wal", f"{cut}-wal")
    os.truncate(f"{cut}-wal", length)
    with open_journal(cut) as journal:
        found = state_of(journal)
    return expected.index(found)
