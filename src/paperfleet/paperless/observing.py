"""Telling an observer of each change to a document, in the transaction that makes the change.

Documents change in ``files`` and nowhere else, whatever signals paperless-ngx sends or does not
send: its renames end in ``QuerySet.update()``, which sends none.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.paperless.mounts import Mount

    Observer = Callable[[str, str, str], None]

_observers: list[Observer] = []
_log = logging.getLogger("paperfleet.paperless")


def observe_with(observer: Observer | None) -> None:
    """From now on call ``observer(key of the mount, name, previous name)``; None for nobody."""
    _observers[:] = [] if observer is None else [observer]


def tell(mount: Mount, name: str = "", previous: str = "") -> None:
    """Tell of a change; what the observer raises ends the transaction that made it."""
    for observer in _observers:
        observer(mount.key, name, previous)


def tell_undone(mount: Mount, name: str = "", previous: str = "") -> None:
    """Tell that a change was taken back, for those who have seen it before it was.

    Nobody waits for an error here. A block that is itself about to be rolled back takes no more
    rows, and undoes them all.
    """
    if not _observers or connections[DEFAULT_DB_ALIAS].needs_rollback:
        return
    try:
        tell(mount, name, previous)
    except DatabaseError as error:
        _log.warning(
            "the change of %s that was taken back is not in the outbox: %s. The mirror's next look"
            " at everything will find it",
            mount.path_of(name or previous),
            error,
        )
