"""Order moves so that none overwrites or drags along what another one is about. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from paperfleet.mirror.planning.classify import passing_name
from paperfleet.model import Move, MoveFolder, Put, moved_row
from paperfleet.storage.names import loose_key, parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AnyMove = Move | MoveFolder


def takes_of(operation: Put | Move | MoveFolder) -> str:
    """Return the target name that the operation fills."""
    return operation.new_target if isinstance(operation, MoveFolder) else operation.target_name


def frees_of(move: AnyMove) -> str:
    """Return the target name that the move leaves."""
    return move.old_target if isinstance(move, MoveFolder) else move.known.target_name


def in_waves(moves: list[AnyMove], key: Callable[[str], str] = str) -> list[list[AnyMove]]:
    """Return the moves in waves: all of a wave may run at once, each wave after the one before.

    A cycle (a swap) is opened by sending one of its moves through a passing name; so is a rename
    between names of which some target can hold only one (alike but for case, Unicode form and the
    like, or one above the other): such a server answers 403 to the direct way (RFC 4918, 9.9.4).
    """
    left = sorted(moves, key=takes_of)
    halves = {index: _through(move) for index, move in enumerate(left) if _in_its_own_way(move)}
    waves = [[first for first, _ in halves.values()]] if halves else []
    left = [halves[index][1] if index in halves else move for index, move in enumerate(left)]
    while left:
        waiting = _waiting(left, key)
        wave = [move for move, waits in zip(left, waiting, strict=True) if not waits]
        if wave:
            left = [move for move, waits in zip(left, waiting, strict=True) if waits]
        else:
            first, second = _through(left[0])
            wave, left = [first], [second, *left[1:]]
        waves.append(wave)
    return waves


def _in_its_own_way(move: AnyMove) -> bool:
    """Say whether the new name cannot be while the old one is: a → a/b, a/b → a, a → A."""
    old, new = loose_key(frees_of(move)), loose_key(takes_of(move))
    return old == new or old in parents(new) or new in parents(old)


def _waiting(moves: list[AnyMove], key: Callable[[str], str]) -> list[bool]:
    """Say for each move whether another one must come before it.

    That is one which leaves the name taken here, a folder above it or something below it, and one
    which brings the folder that this move goes into.
    """
    frees = sorted((key(frees_of(move)), index) for index, move in enumerate(moves))
    at = dict(frees)
    brings = {key(takes_of(m)): i for i, m in enumerate(moves) if isinstance(m, MoveFolder)}
    result = []
    for index, move in enumerate(moves):
        taken = key(takes_of(move))
        blockers = {at[up] for up in (taken, *parents(taken)) if up in at}
        blockers |= {brings[up] for up in parents(taken) if up in brings}
        blockers |= set(_below(frees, taken + "/"))
        result.append(bool(blockers - {index}))
    return result


def _below(frees: list[tuple[str, int]], prefix: str) -> Iterator[int]:
    for name, index in frees[bisect_left(frees, (prefix, -1)) :]:
        if not name.startswith(prefix):
            return
        yield index


def _through(move: AnyMove) -> tuple[AnyMove, AnyMove]:
    """Split a move in two, by way of a passing name."""
    if isinstance(move, Move):
        return _through_file(move, passing_name(move.target_name))
    passing = passing_name(move.new_target)
    halves = [
        _through_file(member, passing + member.target_name.removeprefix(move.new_target))
        for member in move.members
    ]
    return (
        MoveFolder(move.old_name, passing, move.old_target, passing, tuple(a for a, _ in halves)),
        MoveFolder(passing, move.new_name, passing, move.new_target, tuple(b for _, b in halves)),
    )


def _through_file(move: Move, passing: str) -> tuple[Move, Move]:
    halfway = moved_row(move.known, None, passing, passing)
    return Move(move.known, passing, passing, None), replace(move, known=halfway, second_half=True)
