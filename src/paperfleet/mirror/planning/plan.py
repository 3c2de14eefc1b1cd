"""Turn a view of source, journal and target into ordered operations. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperfleet.mirror.planning.classify import Equal, Forget, Vanished, classify
from paperfleet.mirror.planning.order import in_waves, takes_of
from paperfleet.mirror.planning.pairing import find_moves
from paperfleet.model import Delete, MoveFolder, Put
from paperfleet.storage.names import collision_key, loose_key, parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from paperfleet.mirror.planning.view import View
    from paperfleet.model import KnownFile, Move


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be mirrored as things are."""

    name: str
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered work.

    First ``rows`` and ``forgets`` (journal only), then ``clearing`` (deletes that make room), then
    each wave of ``moves``, then ``puts``, then ``deletes``. Within a stage, order is free. Names in
    ``again`` have other content than what is moved there, and are planned anew after that.
    """

    rows: tuple[KnownFile, ...] = ()
    adopted: tuple[str, ...] = ()
    forgets: tuple[Forget, ...] = ()
    clearing: tuple[Delete, ...] = ()
    moves: tuple[tuple[Move | MoveFolder, ...], ...] = ()
    puts: tuple[Put, ...] = ()
    deletes: tuple[Delete, ...] = ()
    problems: tuple[Problem, ...] = ()
    again: tuple[str, ...] = ()

    @property
    def all_deletes(self) -> tuple[Delete, ...]:
        """Every delete, whenever it happens."""
        return self.clearing + self.deletes

    @property
    def operations(self) -> list[Put | Move | MoveFolder | Delete]:
        """Every operation on the target, in order."""
        return [
            *self.clearing,
            *(move for wave in self.moves for move in wave),
            *self.puts,
            *self.deletes,
        ]


def plan(view: View) -> Plan:
    """Return what makes the target equal to the source, never overwriting on the way."""
    rows: list[KnownFile] = []
    adopted: list[str] = []
    forgets: list[Forget] = []
    vanished: dict[str, KnownFile] = {}
    puts: dict[str, Put] = {}
    for name in sorted(view.source.keys() | view.known.keys()):
        need = classify(name, view)
        if isinstance(need, Put):
            puts[name] = need
        elif isinstance(need, Equal):
            rows.append(need.row)
            adopted.extend([name] if need.adopted else [])
        elif isinstance(need, Vanished):
            vanished[name] = need.known
        elif isinstance(need, Forget):
            forgets.append(need)
    problems = [*_folded(puts, vanished, view), *_collisions(puts, vanished, view)]
    forgets += [Forget(p.name, foreign=False) for p in problems if p.name in view.folded]
    renamed_rows, moves = find_moves(puts, vanished, view)
    again = tuple(move.new_name for move in _each(moves) if move.source is None)
    waves = in_waves(moves, _key_of(view))
    rest = [Delete(known) for _, known in sorted(vanished.items())]
    clearing, deletes = _split(rest, [*(m for wave in waves for m in wave), *puts.values()], view)
    return Plan(
        rows=(*rows, *(row for row, _ in renamed_rows)),
        adopted=tuple(adopted),
        forgets=(*forgets, *(Forget(old, foreign=False) for _, old in renamed_rows)),
        clearing=tuple(clearing),
        moves=tuple(tuple(wave) for wave in waves),
        puts=tuple(puts.values()),
        deletes=tuple(deletes),
        problems=tuple(problems),
        again=again,
    )


def _each(moves: Iterable[Move | MoveFolder]) -> Iterator[Move]:
    """Yield the moves of files, those of a folder's files too."""
    for move in moves:
        yield from move.members if isinstance(move, MoveFolder) else (move,)


def _key_of(view: View) -> Callable[[str], str]:
    """Return what gives names that the target takes for one the same key."""
    return loose_key if view.folded else lambda name: collision_key(name, view.capabilities)


def _folded(puts: dict[str, Put], vanished: dict[str, KnownFile], view: View) -> list[Problem]:
    """Take out of ``puts`` what the target was seen to take for another file that stays.

    What vanished and has the same content stays too: it may be that file under its old name.
    """
    problems = []
    for name, other in view.folded.items():
        if name not in puts or other in vanished:
            continue
        content = puts.pop(name).source.sha256
        for old in [n for n, known in vanished.items() if known.sha256 == content]:
            del vanished[old]
        problems.append(_problem(name, other))
    return problems


def _problem(name: str, other: str) -> Problem:
    hint = f"Rename one of them at the source; {other!r} is mirrored"
    return Problem(name, f"the target takes it for {other!r}", hint)


def _collisions(puts: dict[str, Put], vanished: dict[str, KnownFile], view: View) -> list[Problem]:
    """Take out of ``puts`` what the target would hold to be a file that is there already."""
    folds = view.capabilities.unicode_form or not view.capabilities.case_sensitive
    if not folds:
        return []
    problems, taken = [], dict[str, str]()
    for name in sorted(puts, key=lambda n: (n not in view.known, n)):
        key = collision_key(name, view.capabilities)
        other = taken.setdefault(key, name)
        owner = view.owner(key)
        if other == name and owner not in {None, name} and owner not in vanished:
            other = str(owner)
        if other != name:
            del puts[name]
            problems.append(_problem(name, other))
    return problems


def _split(
    deletes: Iterable[Delete], creations: list[Put | Move | MoveFolder], view: View
) -> tuple[list[Delete], list[Delete]]:
    """Part the deletes that must come first: they stand where something is to be put."""
    key_of = _key_of(view)
    taken = {key_of(takes_of(operation)) for operation in creations}
    above = {folder for name in taken for folder in parents(name)}
    clearing: list[Delete] = []
    later: list[Delete] = []
    for delete in deletes:
        key = key_of(delete.known.target_name)
        in_the_way = key in taken or key in above or any(up in taken for up in parents(key))
        (clearing if in_the_way else later).append(delete)
    return clearing, later


def describe(work: Plan) -> list[str]:
    """Return the plan as lines for people and for tests, in the order of work."""
    lines = [f"adopt {name}" for name in work.adopted]
    lines += [f"{'let go' if f.foreign else 'forget'} {f.name}" for f in work.forgets]
    lines += [line for operation in work.operations for line in _lines(operation)]
    lines += [f"look again {name}" for name in work.again]
    return lines + [f"refuse {p.name}: {p.reason}" for p in work.problems]


def _lines(operation: Put | Move | MoveFolder | Delete) -> list[str]:
    verbs = {"created": "create", "updated": "update", "restored": "restore"}
    if isinstance(operation, Put):
        aside = (
            [f"set aside {operation.target_name} -> {operation.aside}"] if operation.aside else []
        )
        return [*aside, f"{verbs[operation.why]} {operation.source.name}"]
    if isinstance(operation, Delete):
        return [f"delete {operation.known.name}"]
    return [move_line(operation)]


def move_line(move: Move | MoveFolder) -> str:
    """Return 'move a -> b', for a folder with the number of files in it."""
    if isinstance(move, MoveFolder):
        return f"move {move.old_name}/ -> {move.new_name}/ ({len(move.members)} files)"
    return f"move {move.known.name} -> {move.new_name}"
