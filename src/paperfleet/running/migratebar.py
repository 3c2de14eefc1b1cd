"""What a person sees of a migration."""

from __future__ import annotations

from paperfleet.printable import readable
from paperfleet.running.bar import Bar
from paperfleet.transfer.migrate import FileEvent, MigrationPlanned, MigrationStep

_AFTERWARDS = {MigrationStep.LEFT_OUT, MigrationStep.DELETED, MigrationStep.KEPT}


class MigrationBar(Bar):
    """A bar that takes the events of a migration; failures are printed as they come."""

    def __call__(self, event: FileEvent | MigrationPlanned) -> None:
        """Take one event."""
        if isinstance(event, MigrationPlanned):
            self.plan(event.files, event.size)
            return
        if event.step not in _AFTERWARDS:
            self.advance(event.size, failed=event.step is MigrationStep.FAILED)
        if event.reason:
            self.say(f"{event.step.value}: {readable(event.name)}: {event.reason}")
