"""What paperless-ngx does to documents, done to a storage.

Every method raises ``OSError``, mostly a ``StorageError``: the rollback of paperless-ngx
(``documents/signals/handlers.py``) knows no other errors.
"""

from __future__ import annotations

import logging
import secrets
import threading
from typing import IO, TYPE_CHECKING, cast

from paperfleet.errors import AlreadyExistsError, NotFoundError
from paperfleet.model import ABSENT, ANYTHING
from paperfleet.paperless import points
from paperfleet.paperless.documents import (
    incidents,
    intents,
    looks,
    patience,
    rollback,
    transactions,
    undeleted,
    verification,
)
from paperfleet.paperless.documents.transactions import Effect
from paperfleet.storage.hashing import sha256_of
from paperfleet.storage.names import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.model import FileStat, Upload
    from paperfleet.paperless.documents.intents import Intent
    from paperfleet.paperless.documents.mounts import Mount, Place

_log = logging.getLogger("paperfleet.paperless")

ASIDE = "aside"
"""The key below which content is kept that a transaction has replaced and not yet committed."""


class _Hidden(threading.local):
    """Files that this thread's transaction has deleted, which other threads still see."""

    def __init__(self) -> None:
        self.effects: dict[looks.Key, Effect] = {}


_hidden = _Hidden()
_before_first_use: list[Callable[[Mount], None]] = []


def guard_with(check: Callable[[Mount], None]) -> None:
    """Let ``check`` see each mount before anything is done there; it raises to forbid it."""
    _before_first_use[:] = [check]


def touch(place: Place) -> None:
    """Let those who guard the mounts look, before anything is done there."""
    for check in _before_first_use:
        check(place.mount)


def find(place: Place) -> FileStat | None:
    """Return what is known of a file, None where there is none; one request at the most."""
    if not place.name or place.key in _hidden.effects:
        return None
    touch(place)
    return looks.find(place)


def entry(place: Place) -> FileStat | bool:
    """Return what is known of a file; where there is none, whether it is a folder."""
    if not place.name or _hidden.effects:  # only file by file is it known what is hidden
        return find(place) or is_folder(place)
    touch(place)
    return looks.entry(place)


def stat(place: Place) -> FileStat:
    """Return what is known of a file; raise ``NotFoundError``."""
    found = find(place)
    if found is None:
        raise missing(place, "stat")
    return found


def missing(place: Place, operation: str) -> NotFoundError:
    """Return the error for a file that is not there."""
    label = place.mount.storage.label
    return NotFoundError(
        "there is no such file", operation=operation, name=place.name, storage=label
    )


def is_folder(place: Place) -> bool:
    """Say whether there are files below; the root of a mount is always a folder."""
    if not place.name:
        return True
    if looks.is_no_folder(place):
        return False
    return next(iter(_visible(place)), None) is not None


def below(place: Place) -> Iterator[FileStat]:
    """Yield every file below a folder, in any order."""
    touch(place)
    for found in place.mount.storage.list_stats(place.name):
        if (place.mount.root, found.name) not in _hidden.effects:
            yield found


def _visible(place: Place) -> Iterator[str]:
    touch(place)
    for name in place.mount.storage.list_files(place.name):
        if (place.mount.root, name) not in _hidden.effects:
            yield name


def children(place: Place) -> Iterator[tuple[str, bool]]:
    """Yield the last segment of each direct child and whether it is a folder, each once."""
    skip = len(place.name) + 1 if place.name else 0
    last = ""
    for name in _visible(place):
        segment, slash, _ = name[skip:].partition("/")
        if slash and segment == last:
            continue
        last = segment if slash else ""
        yield segment, bool(slash)


def open_stream(place: Place) -> IO[bytes]:
    """Return a seekable stream of the content, read as it is asked for.

    It ends with ``IntegrityError`` before the last byte of what is not the document that the
    database knows under this name (``verification``).
    """
    if not place.name or place.key in _hidden.effects:
        raise missing(place, "open")
    touch(place)
    known = verification.expected(place)
    stream = place.mount.storage.open(place.name)
    if waits := patience.seconds():
        stream = cast("IO[bytes]", patience.PatientReader(stream, waits))
    if known is None:
        return stream
    return cast("IO[bytes]", verification.VerifiedReader(stream, place, known))


def save(place: Place, upload: Upload, *, new: bool = False) -> None:
    """Store content under a name; with ``new`` raise ``AlreadyExistsError`` for a taken one.

    In a transaction the content that is replaced is kept until the commit.
    """
    check_name(place.name, storage=place.mount.storage.label, operation="save")
    touch(place)
    verification.changed(place)
    is_renewed = place.key in _hidden.effects
    if is_renewed:
        _clear_the_way(place)
    if not transactions.in_transaction():
        expect = ABSENT if new else ANYTHING
        _saved(place, upload, place.mount.storage.save_with(place.name, upload, expect))
        transactions.tell(place.mount, place.name)
        return
    # The name of a document that this transaction has deleted is no new one: a rollback needs it.
    intent = None if is_renewed else intents.of_upload(place, upload)
    if intent is not None:
        upload = upload._replace(sha256=intent.sha256)
    try:
        stored = place.mount.storage.save_with(place.name, upload, ABSENT)
    except AlreadyExistsError:
        if new or transactions.written(place.mount.key, place.name) is None:
            intents.withdraw(intent)
            intent = None
        if new:
            raise
        kept = _keep_aside(place)
        stored = place.mount.storage.save_with(place.name, upload, ANYTHING)
        _follow(
            f"replacing {place.path}",
            commit=lambda: place.mount.base.delete(kept),
            rollback=lambda: rollback.restore(place, kept),
            intent=intent,
        )
    else:
        _follow(f"saving {place.path}", rollback=rollback.taking_back(place, intent), intent=intent)
        if intent is not None:
            points.passed("save.stored")
    _saved(place, upload, stored)
    transactions.tell(place.mount, place.name)


def _saved(place: Place, upload: Upload, stored: FileStat) -> None:
    """Remember what was saved: its row may learn of the new checksum only later."""
    looks.remember(place, stored)
    if verification.expected(place) is not None:
        verification.own_saves.note(place, stored.sha256 or sha256_of(upload))


def _follow(
    what: str,
    *,
    commit: Callable[[], None] | None = None,
    rollback: Callable[[], None] | None = None,
    intent: Intent | None = None,
    frees: tuple[str, str] | None = None,
    origin: Effect | None = None,
) -> None:
    effect = Effect(
        what, commit=commit, rollback=rollback, intent=intent, frees=frees, origin=origin
    )
    transactions.follow(effect)


def _aside_name(place: Place) -> str:
    return f"{ASIDE}/{secrets.token_hex(6)}/{place.mount.key}/{place.name}"


def _keep_aside(place: Place) -> str:
    """Copy what is under a name; return the name of the copy in the base storage."""
    base, kept = place.mount.base, _aside_name(place)
    current = f"{place.mount.key}/{place.name}"
    if base.capabilities.copy:
        base.copy(current, kept)
    else:
        with base.open(current) as content:
            base.save(kept, content)
    return kept


def delete(place: Place) -> None:
    """Remove a file, in a transaction on its commit; raise ``NotFoundError``."""
    if not transactions.in_transaction():
        touch(place)
        verification.changed(place)
        place.mount.storage.delete(place.name)
        transactions.tell(place.mount, previous=place.name)
        return
    if find(place) is None:
        raise missing(place, "delete")
    verification.changed(place)
    mine = _hidden.effects
    effect = Effect(
        f"deleting {place.path}",
        commit=lambda: _delete_hidden(place),
        rollback=lambda: _unhide(mine, place),
    )
    mine[place.key] = effect
    transactions.follow(effect)
    transactions.tell(place.mount, previous=place.name)


def _unhide(hidden: dict[looks.Key, Effect], place: Place) -> None:
    hidden.pop(place.key, None)


def _delete_hidden(place: Place) -> None:
    _hidden.effects.pop(place.key, None)
    verification.changed(place)
    try:
        place.mount.storage.delete(place.name)
    except NotFoundError:
        pass
    except OSError as error:
        incidents.note(incidents.UNDELETED, place.mount.key, place.name, str(error))
        undeleted.note(f"{place.mount.key}/{place.name}: {error}")
        raise
    remove_emptied(folder_of(place))


def folder_of(place: Place) -> Place:
    """Return the folder that a file or folder lies in."""
    return place.mount.place(place.name.rpartition("/")[0])


def remove_emptied(folder: Place) -> None:
    """Remove a folder and those above it as long as they are empty; asks a bucket nothing."""
    while folder.name and remove_folder(folder):
        folder = folder_of(folder)


def _clear_the_way(place: Place) -> None:
    """Free a name whose file this transaction has deleted: from now on that file waits aside."""
    deleted = _hidden.effects.pop(place.key)
    kept = _aside_name(place)
    base, current = place.mount.base, f"{place.mount.key}/{place.name}"
    base.move(current, kept)

    def back() -> None:
        if not rollback.is_anothers(place, "is not restored"):
            base.move(kept, current)

    deleted.commit = lambda: base.delete(kept)
    deleted.rollback = back


def move(old: Place, new: Place) -> None:
    """Rename within one mount; never overwrites: raise ``AlreadyExistsError``."""
    if old.key in _hidden.effects:
        raise missing(old, "move")
    touch(old)
    is_renewed = new.key in _hidden.effects
    if is_renewed:
        _clear_the_way(new)
    in_transaction = transactions.in_transaction()
    written = None
    if in_transaction and intents.keeper() is not None:
        written = transactions.written(old.mount.key, old.name)
    intent = None
    if written is not None and written.intent is not None and not is_renewed:
        intent = intents.of_move(new, written.intent)
    storage = old.mount.storage
    begun = looks.taken_move(old, new)
    verification.changed(old)
    verification.changed(new)
    try:
        if begun and storage.capabilities.move_in_two:
            storage.end_move(begun)
        else:
            storage.move(old.name, new.name)
    except AlreadyExistsError:
        intents.withdraw(intent)
        raise
    looks.remember(old, None)
    if in_transaction:
        origin = written.origin if written is not None and intent is not None else None
        _follow(
            f"moving {old.path}",
            rollback=rollback.moving_back(old, new, origin, intent),
            intent=intent,
            frees=(old.mount.key, old.name),
            origin=origin,
        )
    transactions.tell(old.mount, new.name, old.name)


def make_folder(place: Place) -> None:
    """Make a folder where folders exist on their own; elsewhere there is nothing to do."""
    if place.name:
        check_name(place.name, storage=place.mount.storage.label)
        looks.made_folder(place)
        place.mount.storage.make_folder(place.name)


def remove_folder(place: Place) -> bool:
    """Remove a folder that is empty; say whether it is gone."""
    return not place.name or place.mount.storage.remove_folder(place.name)
