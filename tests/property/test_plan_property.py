"""Any two states: the plan, carried out on a strict model of a target, makes them equal."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from paperfleet.mirror.planning.graph import Dependencies
from paperfleet.mirror.planning.plan import Plan, plan
from paperfleet.mirror.planning.view import View
from paperfleet.model import ABSENT, Capabilities, Delete, FileStat, KnownFile, Move, MoveFolder
from paperfleet.storage.names import collision_key, is_below, parents

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from paperfleet.model import Operation, Put

SEGMENT = st.sampled_from(["a", "b", "c", "A"])
NAME = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
CONTENT = st.sampled_from(["", "1", "2", "3", "44"])


def drop_conflicts(files: Mapping[str, tuple[str, int]]) -> dict[str, tuple[str, int]]:
    """Leave out files that would stand where another file's folder is."""
    kept: dict[str, tuple[str, int]] = {}
    for name in sorted(files):
        if not any(up in kept for up in parents(name)):
            kept[name] = files[name]
    return kept


def fold(files: dict[str, tuple[str, int]]) -> dict[str, tuple[str, int]]:
    """Leave out names of which a case-folding target holds only one, folders too."""
    seen: dict[str, str] = {}
    kept = {}
    for name, value in files.items():
        paths = [*parents(name), name]
        if all(seen.setdefault(p.casefold(), p) == p for p in paths):
            kept[name] = value
    return kept


TREE = st.dictionaries(NAME, st.tuples(CONTENT, st.integers(1, 6)), max_size=8).map(drop_conflicts)


class Target:
    """Files in a dict, as strict as a server: nothing overwritten, no file inside a file."""

    def __init__(self, files: dict[str, str], can: Capabilities) -> None:
        self.files, self.can = dict(files), can

    def key(self, name: str) -> str:
        return collision_key(name, self.can)

    def check_free(self, name: str) -> None:
        for other in self.files:
            assert self.key(other) != self.key(name), f"{name} is taken"
            assert self.key(other) not in map(self.key, parents(name)), f"{other} is above {name}"
            assert not is_below(self.key(other), self.key(name)), f"{other} is below {name}"

    def apply(self, work: Plan, order: Random) -> None:
        """Carry out a plan in any order that its dependencies allow."""
        waits = Dependencies(work).of
        left, done = set(range(len(waits))), set[int]()
        while left:
            number = order.choice(sorted(n for n in left if waits[n] <= done))
            self.carry_out(work.operations[number])
            left.remove(number)
            done.add(number)

    def carry_out(self, operation: Operation) -> None:
        if isinstance(operation, Delete):
            self.delete(operation)
        elif isinstance(operation, Move | MoveFolder):
            self.move(operation)
        else:
            self.put(operation)

    def delete(self, delete: Delete) -> None:
        del self.files[delete.known.target_name]

    def put(self, put: Put) -> None:
        if put.expect == ABSENT:
            self.check_free(put.target_name)
        else:
            assert put.target_name in self.files
        self.files[put.target_name] = put.source.sha256 or ""

    def move(self, move: Move | MoveFolder) -> None:
        if isinstance(move, Move):
            content = self.files.pop(move.known.target_name)
            self.check_free(move.target_name)
            self.files[move.target_name] = content
            return
        inside = {n: c for n, c in self.files.items() if is_below(n, move.old_target)}
        assert sorted(inside) == sorted(m.known.target_name for m in move.members)
        for name in inside:
            del self.files[name]
        assert not any(is_below(self.key(n), self.key(move.new_target)) for n in self.files)
        self.check_free(move.new_target)
        for name, content in inside.items():
            self.files[move.new_target + name.removeprefix(move.old_target)] = content


def run(
    source: dict[str, tuple[str, int]],
    known: dict[str, tuple[str, int]],
    can: Capabilities,
    order: Random,
) -> None:
    def sha(content: str) -> str:
        return hashlib.sha256(content.encode()).hexdigest()

    files = {n: FileStat(n, len(c), 1, "v", str(i), sha(c)) for n, (c, i) in source.items()}
    rows = {
        n: KnownFile(n, n, len(c), sha(c), 1, str(i), "v", f"etag-{n}")
        for n, (c, i) in known.items()
    }
    keys = {collision_key(n, can): n for n in rows}
    work = plan(
        View(
            source=files,
            known=rows,
            capabilities=can,
            known_below=lambda folder: sum(is_below(n, folder) for n in rows),
            owner=keys.get,
        )
    )
    target = Target({n: sha(c) for n, (c, _) in known.items()}, can)
    target.apply(work, order)
    assert not work.problems
    assert target.files == {n: f.sha256 for n, f in files.items()}


@settings(deadline=None)
@given(TREE, TREE, st.randoms(use_true_random=False))
def test_any_state_becomes_any_other(
    source: dict[str, tuple[str, int]], known: dict[str, tuple[str, int]], order: Random
) -> None:
    run(source, known, Capabilities(), order)


@settings(deadline=None)
@given(TREE, TREE, st.randoms(use_true_random=False))
def test_also_where_the_target_folds_case(
    source: dict[str, tuple[str, int]], known: dict[str, tuple[str, int]], order: Random
) -> None:
    run(fold(source), fold(known), Capabilities(case_sensitive=False), order)
