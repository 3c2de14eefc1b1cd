"""Hold back what looks like an accident. Pure.

A sync that deletes much at once is more often an unmounted disk than a wish (nextcloud/desktop
#260, abraunegg/onedrive #511). Only deletes are held back; sends and moves lose nothing and go on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperfleet.mirror.order import takes_of
from paperfleet.mirror.plan import Plan, Problem
from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from paperfleet.model import Delete, Operation


@dataclass(frozen=True, slots=True)
class Limits:
    """More deletes in an hour than ``floor``, and than ``share`` of all files, need a yes."""

    share: float = 0.25
    floor: int = 20


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the guard weighs beside the plan.

    ``known``: files in the journal; ``deleted``: within the last hour; ``source_fault``: what is
    wrong with the source as a whole ('' for nothing); ``approved``: names that a person released;
    ``held``: names that are refused already, for an accident is often seen in pieces.
    """

    known: int
    deleted: int = 0
    source_fault: str = ""
    approved: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """``plan`` may run; ``refused`` waits for ``paperfleet approve``, for ``reason``."""

    plan: Plan
    refused: tuple[Delete, ...] = ()
    reason: str = ""


def judge(plan: Plan, circumstances: Circumstances, limits: Limits) -> Verdict:
    """Return the part of the plan that may run."""
    asked = [d for d in plan.all_deletes if d.known.name not in circumstances.approved]
    names = {delete.known.name for delete in asked} | (circumstances.held - circumstances.approved)
    reason = _objection(len(names), circumstances, limits) if asked else ""
    if not reason:
        return Verdict(plan)
    return Verdict(_without(plan, asked), tuple(asked), reason)


def _objection(count: int, circumstances: Circumstances, limits: Limits) -> str:
    if circumstances.source_fault:
        return circumstances.source_fault
    total, within_hour = circumstances.known + circumstances.deleted, count + circumstances.deleted
    if within_hour <= limits.floor or within_hour <= limits.share * total:
        return ""
    return (
        f"{within_hour} of {total} files would be deleted within an hour, "
        f"more than {limits.floor} and more than {limits.share:.0%}"
    )


def _without(plan: Plan, refused: Iterable[Delete]) -> Plan:
    """Return the plan without these deletes and without what needs their places."""
    held = set(refused)
    places = {delete.known.target_name for delete in held}
    above = {folder for name in places for folder in parents(name)}

    def waits(operation: Operation) -> bool:
        taken = takes_of(operation)  # type: ignore[arg-type]
        return taken in places or taken in above or any(up in places for up in parents(taken))

    blocked = [put for put in plan.puts if waits(put)]
    problems = [
        Problem(
            put.source.name, "a delete that waits for approval is in the way", "paperfleet approve"
        )
        for put in blocked
    ]
    return replace(
        plan,
        clearing=tuple(d for d in plan.clearing if d not in held),
        deletes=tuple(d for d in plan.deletes if d not in held),
        moves=tuple(tuple(m for m in wave if not waits(m)) for wave in plan.moves),
        puts=tuple(put for put in plan.puts if put not in blocked),
        problems=(*plan.problems, *problems),
    )
