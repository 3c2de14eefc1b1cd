"""Plan a batch that was looked at, and let the guard judge it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from paperfleet.mirror.planning.plan import plan
from paperfleet.mirror.planning.view import View
from paperfleet.mirror.prepare import departed
from paperfleet.mirror.unreadable import is_hidden, kept_out
from paperfleet.storage.names import collision_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.batch import Batch, Observation
    from paperfleet.mirror.options import Options
    from paperfleet.mirror.planning.guard import Judgement
    from paperfleet.mirror.queue import JobQueue
    from paperfleet.mirror.status import Status
    from paperfleet.mirror.weigh import Weigher
    from paperfleet.model import KnownFile
    from paperfleet.storage.full import FullStorage


class Planner:
    """Shows the pure planner and the guard what journal, source and work say at this moment."""

    def __init__(
        self,
        source: FullStorage,
        target: FullStorage,
        journal: Journal,
        work: JobQueue,
        record: Status,
        weigher: Weigher,
        options: Options,
    ) -> None:
        self._source, self._journal, self._work = source, journal, work
        self._record, self._weigher, self._options = record, weigher, options
        self._label = target.label
        self._can = target.capabilities

    def judge(self, batch: Batch, observation: Observation) -> Judgement:
        """Return what of the plan for the batch may run, and what the guard holds back."""
        left = departed(self._source, self._journal, batch, observation, self._work.doing)
        hidden = self._record.unreadable
        left = {n: row for n, row in left.items() if not is_hidden(row.target_name, hidden)}
        view = self._view(batch, observation, left)
        work = kept_out(plan(view), hidden, self._label)
        # What left and is not paired is deleted when its own name has settled.
        deletes = tuple(delete for delete in work.deletes if delete.known.name not in left)
        work = replace(work, deletes=deletes)
        return self._weigher.judge(work, view)

    def _view(self, batch: Batch, observation: Observation, left: Mapping[str, KnownFile]) -> View:
        known = {k.name: k for stat, k in batch.changed if k and stat.name in observation.source}
        known |= {k.name: k for k in batch.vanished if k.name not in observation.failed}
        known |= left
        return View(
            source=observation.source,
            known=known,
            target=observation.target,
            capabilities=self._can,
            known_below=self._journal.count_below,
            owner=self._owners(),
            renamed=batch.renamed,
            set_aside=self._options.set_aside,
            versioned=observation.versioned,
            folded=observation.folded,
            lasting_ids=self._source.capabilities.lasting_ids,
        )

    def _owners(self) -> Callable[[str], str | None]:
        """Return a look-up of the known name that the target would take for a collision key."""
        if self._can.case_sensitive:
            return self._journal.owner_of
        return {
            collision_key(known.target_name, self._can): known.name
            for known in self._journal.known()
        }.get
