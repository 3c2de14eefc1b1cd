"""Refuse to mirror into the source by another address: copies of copies without end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from paperfleet.errors import QuotaExceededError, Scope, StorageError
from paperfleet.mirror.events import Notice
from paperfleet.storage.apartness import find_overlap, not_apart

if TYPE_CHECKING:
    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.events import Reporter
    from paperfleet.storage.protocol import DocumentStorage

_FACT = "proven_apart"
_BELIEVED = 86_400.0
"""Seconds for which a proof is believed, so that a restart costs no request."""


def prove_apart(
    source: DocumentStorage, target: DocumentStorage, journal: Journal, report: Reporter
) -> None:
    """Raise ``ConfigurationError`` when what is written at the target appears in the source.

    A probe is written at the target for a moment (``storage.apartness``), once a day at most; both
    storages are entered. A target that takes no file now is told of and passes: it may have no
    room, and deletes make some. Raises the ``StorageError`` of a storage that fails as a whole.
    """
    proven = journal.get_fact(_FACT)
    if isinstance(proven, float) and 0 <= time.time() - proven < _BELIEVED:
        return
    try:
        overlap = find_overlap(target, source)
    except StorageError as error:
        if error.scope is Scope.STORAGE and not isinstance(error, QuotaExceededError):
            raise
        text = f"Whether the target lies in the source could not be found out: {error}"
        report(Notice(text, "warning"))
        return
    if overlap is not None:
        raise not_apart(source, target, overlap)
    journal.set_fact(_FACT, time.time())
