"""What another process asks of a mirror that runs: names to look at, releases by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.journal.journal import LOOK_AGAIN

if TYPE_CHECKING:
    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.accident import Accident
    from paperfleet.mirror.status import Status


class Requests:
    """Finds them in the journal."""

    def __init__(self, journal: Journal, record: Status, accident: Accident) -> None:
        self._journal, self._record, self._accident = journal, record, accident
        self._released: set[str] = set()

    def asked_for(self) -> list[str]:
        """Return the names that another process asks to be looked at; each once."""
        names = self._journal.get_fact(LOOK_AGAIN)
        if not isinstance(names, list) or not names:
            return []
        self._journal.set_fact(LOOK_AGAIN, None)
        return [str(name) for name in names]

    def approved(self) -> list[str]:
        """Return the refused names that a person has approved since; each once.

        More often would keep a large file for ever from being read to its end.
        """
        approved = self._journal.approved().keys() & self._record.refused.keys()
        new, self._released = approved - self._released, approved
        if new:
            self._accident.approve(new)
            self._record.doubt_mounts(self._accident.mount_fault)
        return sorted(name for name in new if not self._record.resting(name))
