"""What the target does not let us see: nothing is known there, and nothing is done there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from paperfleet.mirror.planning.plan import Problem
from paperfleet.mirror.policy import tried_together
from paperfleet.model import Delete, MoveFolder, Put
from paperfleet.storage.full import unreadable
from paperfleet.storage.names import is_below

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from paperfleet.errors import FileAccessError
    from paperfleet.mirror.planning.plan import Plan
    from paperfleet.model import Operation


def hiding(name: str, unreadable: Collection[str]) -> str | None:
    """Return what hides a name at the target: it, or a folder above it; None for a known place."""
    return next((one for one in unreadable if name == one or is_below(name, one)), None)


def is_hidden(name: str, unreadable: Collection[str]) -> bool:
    """Say whether nothing is known of a name, as it or a folder above it cannot be read."""
    return hiding(name, unreadable) is not None


def fault_of(target_name: str, hidden: Mapping[str, str], label: str) -> FileAccessError | None:
    """Return why nothing can be done under a target name, None where something can."""
    folder = hiding(target_name, hidden)
    return None if folder is None else unreadable(label, target_name, folder, hidden[folder])


def kept_out(work: Plan, hidden: Mapping[str, str], label: str) -> Plan:
    """Return the plan without what it does where nobody can see: that is each file's own fault."""
    if not hidden:
        return work
    problems: dict[str, Problem] = {}

    def may(operation: Operation) -> bool:
        errors = [fault_of(name, hidden, label) for name in _touched(operation)]
        error = next(filter(None, errors), None)
        if error is not None:
            names = tried_together(operation)
            problems.update((name, Problem(name, error.reason, error.hint)) for name in names)
        return error is None

    return replace(
        work,
        clearing=tuple(filter(may, work.clearing)),
        moves=tuple(tuple(filter(may, wave)) for wave in work.moves),
        puts=tuple(filter(may, work.puts)),
        deletes=tuple(filter(may, work.deletes)),
        problems=(*work.problems, *problems.values()),
    )


def _touched(operation: Operation) -> tuple[str, ...]:
    if isinstance(operation, Put):
        return (operation.target_name,)
    if isinstance(operation, Delete):
        return (operation.known.target_name,)
    moves = operation.members if isinstance(operation, MoveFolder) else (operation,)
    return tuple(n for move in moves for n in (move.known.target_name, move.target_name))
