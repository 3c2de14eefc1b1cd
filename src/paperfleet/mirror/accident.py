"""Notice a source that is not the one of before: an unmounted disk, another filesystem."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.scan import Scan

_FACT = "source_filesystem"


class Accident:
    """What is wrong with the source as a whole; ``fault`` is '' when nothing is."""

    def __init__(self, journal: Journal, filesystem: Callable[[], str | None]) -> None:
        self._journal, self._filesystem = journal, filesystem
        self.fault = ""

    def judge(self, found: Scan) -> None:
        """Judge a scan of everything. Deletes wait for a person while there is a fault."""
        now, before = self._filesystem(), self._journal.get_fact(_FACT)
        self.fault = ""
        if not found.found and not found.obstacles and self._journal.count_known():
            self.fault = "the source is empty"
        elif found.vanished and now is not None and before not in {None, now}:
            self.fault = "the source lies on another filesystem than before"
        if not self.fault and now is not None:
            self._journal.set_fact(_FACT, now)

    def approve(self) -> None:
        """Take the source as it is: a person has said that it is right."""
        self.fault = ""
        self._journal.set_fact(_FACT, self._filesystem())
