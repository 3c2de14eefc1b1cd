"""What a rollback does about the files that its transaction saved, replaced or moved.

A file of a task, of which there is a note (``intents``), is left to whoever keeps the notes: by now
another host may have the task, and the file.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError

from paperfleet.errors import NotFoundError
from paperfleet.paperless.areas import ALWAYS
from paperfleet.paperless.documents import intents, rows, transactions, verification

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.paperless.documents.intents import Intent
    from paperfleet.paperless.documents.mounts import Place
    from paperfleet.paperless.documents.transactions import Effect

_log = logging.getLogger("paperfleet.paperless")


def restore(place: Place, kept: str) -> None:
    """Put back what a transaction has replaced, and was kept under another name of the base."""
    base = place.mount.base
    verification.changed(place)
    if is_anothers(place, "keeps what was written there"):
        return
    with base.open(kept) as content:
        base.save(f"{place.mount.key}/{place.name}", content)
    base.delete(kept)
    transactions.tell_undone(place.mount, place.name)


def taking_back(place: Place, intent: Intent | None) -> Callable[[], None]:
    """Return what a rollback does about a file that was saved under a new name."""
    if intent is None:
        return lambda: _take_back(place)
    return lambda: _leave(place, intent)


def _leave(place: Place, intent: Intent) -> None:
    """Leave what a transaction saved to whoever keeps notes of it."""
    verification.changed(place)
    intents.left(intent)


def is_anothers(place: Place, what: str) -> bool:
    """Say whether another host has the task by now, whose file this may be; then it is told."""
    if not intents.is_over():
        return False
    _log.warning("%s %s after a rollback, as its task was given to another", place.path, what)
    return True


def _take_back(place: Place) -> None:
    """Delete what a transaction saved; as long as it is there, nobody else can take the name."""
    verification.changed(place)
    if is_anothers(place, "stays"):
        return
    with contextlib.suppress(NotFoundError):
        place.mount.storage.delete(place.name)
    transactions.tell_undone(place.mount, previous=place.name)


def moving_back(
    old: Place, new: Place, origin: Effect | None, intent: Intent | None
) -> Callable[[], None]:
    """Return what a rollback does about a move; one of a file that is undone too leaves it."""
    if origin is None or intent is None:
        return lambda: move_back(old, new)

    def back() -> None:
        if origin in transactions.kept() and not intents.is_over():
            move_back(old, new)  # only this was undone, and the file goes on
        else:
            _leave(new, intent)

    return back


def move_back(old: Place, new: Place) -> None:
    """Undo a move, and tell so."""
    if put_back(old, new):
        transactions.tell_undone(old.mount, old.name, new.name)


def put_back(old: Place, new: Place) -> bool:
    """Undo a move in the storage, unless something else lies there by now; say whether it did."""
    verification.changed(old)
    verification.changed(new)
    if intents.is_over() and not _belongs_back(old, new):
        return False
    storage = old.mount.storage
    if not storage.exists(new.name) or storage.exists(old.name):
        return False
    storage.move(new.name, old.name)
    return True


def _belongs_back(old: Place, new: Place) -> bool:
    """Say whether the database has a file under its old name, as nobody else has moved it since."""
    if old.mount.key not in ALWAYS:
        return False
    try:
        there = rows.named(old.mount.key, new.name)
        return there is None and rows.named(old.mount.key, old.name) is not None
    except (DatabaseError, InterfaceError) as error:
        _log.warning("whether %s is to be moved back is not known: %s", new.path, error)
        return False
