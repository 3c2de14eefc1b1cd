"""What a transaction is about to write under a new name, for whoever keeps a note of it.

Where nobody does, a rollback takes back what was written. Where somebody does, as for the tasks of
a fleet, the rollback leaves it: another host may have the task by then, and what is removed by name
might be its file (docs/adr/0022). The keeper of the notes decides.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple, Protocol

from paperfleet.paperless import points
from paperfleet.paperless.areas import NOTED
from paperfleet.storage.hashing import sha256_of

if TYPE_CHECKING:
    from paperfleet.model import Upload
    from paperfleet.paperless.documents.mounts import Place


class Intent(NamedTuple):
    """A new file: ``size`` in bytes, ``sha256`` in hex, both of its content."""

    number: uuid.UUID
    area: str
    name: str
    size: int
    sha256: str


class IntentKeeper(Protocol):
    """Who keeps notes. Each method raises ``DatabaseError``."""

    def keeps(self) -> bool:
        """Say whether the transaction of this thread is one whose new files are noted."""

    def note(self, intent: Intent) -> None:
        """Keep a note that outlives the transaction and the process."""

    def withdraw(self, intent: Intent) -> None:
        """Forget a note: nothing was written, as the name is another's."""

    def left(self, intent: Intent) -> None:
        """Be told that a transaction was undone: what it wrote is the keeper's to remove.

        Also where the note was let go meanwhile, as the file was not there yet.
        """

    def is_over(self) -> bool:
        """Say whether what this thread does is another's to do by now; False when nobody knows."""


_keepers: list[IntentKeeper] = []


def keep_with(keeper: IntentKeeper | None) -> None:
    """From now on tell this keeper; None for nobody."""
    _keepers[:] = [] if keeper is None else [keeper]


def keeper() -> IntentKeeper | None:
    """Return who keeps notes of what this thread writes."""
    return _keepers[0] if _keepers and _keepers[0].keeps() else None


def of_upload(place: Place, upload: Upload) -> Intent | None:
    """Note a new file that is about to be saved; None where nobody keeps notes of it."""
    if place.mount.key not in NOTED or keeper() is None:
        return None
    return _noted(place, upload.size, sha256_of(upload))


def of_move(place: Place, moved: Intent) -> Intent | None:
    """Note the new name of a file that this transaction has written."""
    return _noted(place, moved.size, moved.sha256)


def _noted(place: Place, size: int, sha256: str) -> Intent | None:
    keeps = keeper()
    if keeps is None:
        return None
    intent = Intent(uuid.uuid4(), place.mount.key, place.name, size, sha256)
    keeps.note(intent)
    points.passed("save.noted")
    return intent


def withdraw(intent: Intent | None) -> None:
    """Forget that a file was to be written."""
    if intent is not None and (keeps := keeper()) is not None:
        keeps.withdraw(intent)


def left(intent: Intent) -> None:
    """Tell that what was written is nobody's now."""
    if (keeps := keeper()) is not None:
        keeps.left(intent)


def is_over() -> bool:
    """Say whether what this thread does is known to be another's by now."""
    keeps = keeper()
    return keeps is not None and keeps.is_over()
