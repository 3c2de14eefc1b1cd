"""Hold back what looks like an accident. Pure.

A sync that deletes much at once is more often an unmounted disk than a wish (nextcloud/desktop
#260, abraunegg/onedrive #511), and one that overwrites most files is more often a full disk, a bad
script or ransomware. Only deletes and overwrites are held back; what brings something new and what
moves lose nothing and go on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from paperfleet.mirror.planning.order import takes_of
from paperfleet.mirror.planning.plan import Plan, Problem
from paperfleet.model import Delete, Held, Put, overwrite_loss
from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from paperfleet.model import KnownFile, Loss, Operation

MOST = 0.5
"""More than this share of all files is most of them, however few there are."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What needs a yes within an hour.

    More files deleted or emptied than ``floor``, and than ``share`` of all; or most of all. More
    files overwritten than ``overwrite_share`` of all, ``few`` at least. A share of 1 lets all pass.
    """

    share: float = 0.25
    floor: int = 20
    overwrite_share: float = 0.5
    few: int = 5


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the guard weighs beside the plan.

    ``known``: files in the journal; ``rows``: those of the names in the plan. Within the last hour
    ``deleted`` files went, and ``overwritten`` got other content. ``source_fault``: what is wrong
    with the source as a whole ('' for nothing); ``doubts``: what is wrong with it for one name.
    ``approved``: what a person released; ``held``: what is refused already, for an accident is
    often seen in pieces. ``keeps_versions``: what is overwritten at the target stays there.
    """

    known: int
    rows: Mapping[str, KnownFile] = field(default_factory=dict)
    deleted: int = 0
    overwritten: Mapping[str, Loss] = field(default_factory=dict)
    source_fault: str = ""
    doubts: Mapping[str, str] = field(default_factory=dict)
    approved: Mapping[str, Loss] = field(default_factory=dict)
    held: Mapping[str, Loss] = field(default_factory=dict)
    keeps_versions: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """``plan`` may run; ``refused`` (by name) waits for ``paperfleet approve``.

    ``warning`` is what would have waited if the target did not keep versions, '' for nothing.
    """

    plan: Plan
    refused: Mapping[str, Held] = field(default_factory=dict)
    warning: str = ""


def loss_of(operation: Operation, known: KnownFile | None) -> Loss | None:
    """Return what the operation takes from the target; ``known`` is the row of its name."""
    if isinstance(operation, Delete):
        return "delete"
    if not isinstance(operation, Put) or known is None or operation.why != "updated":
        return None
    return overwrite_loss(known, operation.source.size, operation.source.sha256)


def losses(plan: Plan, rows: Mapping[str, KnownFile]) -> dict[str, Loss]:
    """Return, by name, what the plan takes from the target."""
    pairs = ((one.names[0], loss_of(one, rows.get(one.names[0]))) for one in _lossy(plan))
    return {name: loss for name, loss in pairs if loss}


def _lossy(plan: Plan) -> list[Put | Delete]:
    return [*plan.all_deletes, *(put for put in plan.puts if put.why == "updated")]


def judge(plan: Plan, circumstances: Circumstances, limits: Limits) -> Judgement:
    """Return the part of the plan that may run."""
    approved = circumstances.approved
    asked = {
        name: loss
        for name, loss in losses(plan, circumstances.rows).items()
        if approved.get(name) != loss
    }
    objections = _objections(asked, circumstances, limits) if asked else {}
    refused: dict[str, Held] = {}
    warning = ""
    for name, loss in asked.items():
        reason = circumstances.doubts.get(name, "")
        if not reason and loss != "delete" and circumstances.keeps_versions:
            warning = warning or objections.get(loss, "")
        else:
            reason = reason or objections.get(loss, "")
        if reason:
            refused[name] = Held(loss, reason)
    return Judgement(_without(plan, refused), refused, warning)


def _objections(
    asked: Mapping[str, Loss], circumstances: Circumstances, limits: Limits
) -> dict[Loss, str]:
    """Return what speaks against each kind of loss, for this hour as a whole."""
    waiting = {n: k for n, k in circumstances.held.items() if circumstances.approved.get(n) != k}
    counts = Counter({**circumstances.overwritten, **waiting, **asked}.values())
    deleted = counts["delete"] + circumstances.deleted
    total = circumstances.known + circumstances.deleted
    emptied = 0 if circumstances.keeps_versions else counts["empty"]
    found: dict[Loss, str] = {}
    fault = circumstances.source_fault or _too_many_gone(deleted, emptied, total, limits)
    if fault:
        found["delete"] = fault
    if circumstances.keeps_versions:
        fault = _too_many_gone(0, counts["empty"], total, limits)
    if fault:
        found["empty"] = fault
    less = counts["empty"] + counts["shrink"]
    if _most(less, total, limits):
        text = f"{less} of {total} files would have less content within an hour"
        return _all(text, "empty", "shrink") | found
    changed = less + counts["change"]
    if _most(changed, total, limits):
        text = f"{changed} of {total} files would be overwritten within an hour"
        return _all(text, "empty", "shrink", "change") | found
    return found


def _all(text: str, *kinds: Loss) -> dict[Loss, str]:
    return dict.fromkeys(kinds, text)


def _too_many_gone(deleted: int, emptied: int, total: int, limits: Limits) -> str:
    count = deleted + emptied
    what = "deleted or emptied" if deleted and emptied else "emptied" if emptied else "deleted"
    text = f"{count} of {total} files would be {what} within an hour"
    excess = too_many(count, total, limits)
    return f"{text}, {excess}" if excess else ""


def too_many(count: int, total: int, limits: Limits) -> str:
    """Return in which way so many deletes of so many files are an accident, '' for none."""
    if count > limits.floor and count > limits.share * total:
        return f"more than {limits.floor} and more than {limits.share:.0%}"
    most = max(MOST, limits.share)
    return f"more than {most:.0%}" if count > most * total else ""


def _most(count: int, total: int, limits: Limits) -> bool:
    return count >= limits.few and count > limits.overwrite_share * total


def _without(plan: Plan, refused: Iterable[str]) -> Plan:
    """Return the plan without what these names are to lose, and without what needs their places."""
    names = set(refused)
    held = {delete for delete in plan.all_deletes if delete.known.name in names}
    puts = [put for put in plan.puts if put.source.name not in names]
    places = {delete.known.target_name for delete in held}
    above = {folder for name in places for folder in parents(name)}

    def waits(operation: Operation) -> bool:
        taken = takes_of(operation)  # type: ignore[arg-type]
        return taken in places or taken in above or any(up in places for up in parents(taken))

    blocked = [put for put in puts if waits(put)]
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
        puts=tuple(put for put in puts if put not in blocked),
        problems=(*plan.problems, *problems),
    )
