"""Gather what the guard weighs beside the plan, and tell what it lets pass with a warning."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from paperfleet.mirror.events import Notice
from paperfleet.mirror.planning.guard import Circumstances, judge, loss_of, losses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.accident import Accident
    from paperfleet.mirror.planning.guard import Judgement, Limits
    from paperfleet.mirror.planning.plan import Plan
    from paperfleet.mirror.planning.view import View
    from paperfleet.mirror.queue import JobQueue
    from paperfleet.mirror.scan import Pair
    from paperfleet.mirror.status import Status
    from paperfleet.model import Loss

_HOUR = 3600.0


class Weigher:
    """Asks the guard, with what journal, work and source say at this moment."""

    def __init__(
        self,
        journal: Journal,
        work: JobQueue,
        record: Status,
        accident: Accident,
        limits: Limits,
    ) -> None:
        self._journal, self._work, self._record = journal, work, record
        self._accident, self._limits = accident, limits
        self._warned = float("-inf")

    def judge(self, work: Plan, view: View) -> Judgement:
        """Return what of the plan, which was made of the view, may run."""
        rows = view.known
        going, since = self._work.deletes, self._record.counted_from()
        lost = losses(work, rows)
        circumstances = Circumstances(
            known=self._journal.count_known() - going,
            rows=rows,
            deleted=self._journal.deletions_since(since) + going,
            overwritten=self._journal.overwrites_since(since) | self._overwriting(),
            source_fault=self._accident.fault,
            doubts=self._accident.doubts(rows[name] for name in lost) if lost else {},
            approved=self._journal.approved(),
            held={name: held.loss for name, held in self._record.refused.items()},
            keeps_versions=all(
                rows[name].target_name in view.versioned
                for name, loss in lost.items()
                if loss != "delete"
            ),
        )
        return judge(work, circumstances, self._limits)

    def _overwriting(self) -> dict[str, Loss]:
        """Return what is being overwritten at this moment, or about to be."""
        puts = {put.source.name: put for put in self._work.updates}
        rows = self._journal.known_at(puts)
        found = ((name, loss_of(put, rows.get(name))) for name, put in puts.items())
        return {name: loss for name, loss in found if loss}

    def is_much(self, changed: Sequence[Pair]) -> bool:
        """Say whether so many known files differ that all are read before one is overwritten."""
        count = sum(known is not None for _, known in changed)
        most = min(self._limits.floor, self._limits.share * self._journal.count_known())
        return count >= self._limits.few and count > most

    def warn(self, text: str) -> None:
        """Say once an hour what would wait if the target did not keep what is overwritten."""
        now = time.monotonic()
        if text and now >= self._warned + _HOUR:
            self._warned = now
            hint = "the target keeps their versions, so they are sent. If it is an accident, stop"
            self._record.report(Notice(f"{text}; {hint}", "error"))
