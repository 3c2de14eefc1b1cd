"""What is read is compared with the checksum of the database, before its last byte is given away.

A storage can give other bytes than were saved: a cache in front of it, a damaged disk, two writers
of one name. paperless-ngx compares when its sanity checker runs; whoever downloads a document would
not notice. So every stream of an original or archive version hashes what passes, and the piece that
would complete it is given only when the whole is right. What jumps over a part (a range, the end of
a PDF) is passed on unproven: a part has no checksum.
"""

from __future__ import annotations

import hashlib
import io
import logging
import threading
import time
from collections import OrderedDict
from typing import IO, TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, connections

from paperfleet.errors import IntegrityError
from paperfleet.paperless.areas import ALWAYS
from paperfleet.paperless.documents import incidents, looks, rows
from paperfleet.paperless.documents.digests import FileDigests, is_checksum, is_md5
from paperfleet.storage.streams import ReaderAround

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.paperless.documents.mounts import Place
    from paperfleet.paperless.documents.rows import Expected

SETTLE = 3.0
"""Seconds for which a transaction that has replaced a file may take to commit the new checksum."""
JUST = 60.0
"""Seconds for which the row of what this process has saved may say otherwise."""
_PAUSE = 0.1
_MOST = 256

_log = logging.getLogger("paperfleet.paperless")


class _OwnSaves:
    """The SHA-256 of what this process has just saved, by place; of some hundred places.

    paperless-ngx 2 rotates a document in its place and reads it for the new checksum
    (``documents/bulk_edit.py``): by then the row has the old one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    def note(self, place: Place, sha256: str) -> None:
        """Remember what was saved."""
        with self._lock:
            self._known[place.key] = sha256, time.monotonic()
            self._known.move_to_end(place.key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def forget(self, place: Place) -> None:
        """Forget a name that was deleted, moved or is about to be saved again."""
        with self._lock:
            self._known.pop(place.key, None)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._known.clear()

    def has(self, place: Place, sha256: str) -> bool:
        """Say whether this process saved just that."""
        with self._lock:
            saved, when = self._known.get(place.key, ("", 0.0))
        return saved == sha256 and time.monotonic() - when < JUST


own_saves = _OwnSaves()


def changed(place: Place) -> None:
    """Forget what was seen, or saved by us, of a file that changes."""
    own_saves.forget(place)
    looks.changed(place)


def expected(place: Place) -> Expected | None:
    """Return what the database says of a file; None where it says nothing that can be compared.

    A file of which no row knows yet, such as that of a consume under way, has no checksum.
    """
    if place.mount.key not in ALWAYS or not place.name:
        return None
    if connections[DEFAULT_DB_ALIAS].needs_rollback:  # the database answers nothing more
        return None
    if not rows.exist():
        return None
    row = rows.named(place.mount.key, place.name)
    return row if row is not None and is_checksum(row.checksum) else None


def agrees(place: Place, known: Expected, found: FileDigests) -> bool:
    """Say whether content is what the database says, or what this process saved there just now."""
    return found.like(known.checksum) == known.checksum or own_saves.has(place, found.sha256)


class ContentDiffersError(IntegrityError):
    """A document is not what its row says; ``checksum`` is the row's."""

    def __init__(self, reason: str, checksum: str, *, name: str, storage: str) -> None:
        super().__init__(reason, operation="read", name=name, storage=storage)
        self.checksum = checksum


def require(place: Place, known: Expected, found: FileDigests) -> None:
    """Raise ``ContentDiffersError`` for content that is not what the database says, and note it.

    The database is asked again for some seconds: another process may have replaced file and
    checksum meanwhile, or is about to.
    """
    end = time.monotonic() + SETTLE
    while not agrees(place, known, found):
        now = rows.again(known)
        if now is None or now.name != known.name:
            raise IntegrityError(
                "the document was moved or deleted while it was read",
                operation="read",
                name=place.name,
                storage=place.mount.storage.label,
            )
        known = now
        if agrees(place, known, found):
            return
        if time.monotonic() >= end:
            raise _refused(place, known, found)
        time.sleep(_PAUSE)


def _refused(place: Place, known: Expected, found: FileDigests) -> ContentDiffersError:
    reason = (
        f"its bytes are not those of the document: the database says {known.checksum}, it is"
        f" {found.like(known.checksum)}"
    )
    _log.error(
        "document %s, %s: %s. The reader was cut off before the end. `manage.py paperfleet_check`"
        " compares all",
        known.row,
        place.path,
        reason,
    )
    incidents.note(incidents.REFUSED, known.area, known.name, reason, known.row)
    return ContentDiffersError(
        reason, known.checksum, name=place.name, storage=place.mount.storage.label
    )


class _Hashing:
    """Both digests of what passed; the slower MD5 only where it is asked for."""

    def __init__(self, *, md5: bool) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self.count = 0

    def update(self, data: bytes | memoryview) -> None:
        self._sha256.update(data)
        if self._md5:
            self._md5.update(data)
        self.count += len(data)

    def digests(self) -> FileDigests:
        return FileDigests(self._sha256.hexdigest(), self._md5.hexdigest() if self._md5 else "")


class VerifiedReader(ReaderAround):
    """A seekable stream whose last piece is given only when all of it is what ``known`` says.

    ``read`` raises ``IntegrityError`` in its place. It holds for what is read from the beginning to
    the end, also with jumps back; a part that was jumped over leaves the rest unproven.
    """

    mode = "rb"

    def __init__(self, stream: IO[bytes], place: Place, known: Expected) -> None:
        self._size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        super().__init__(stream)
        self._place, self._known = place, known
        self.name = place.path
        self._hashing = _Hashing(md5=is_md5(known.checksum))
        self._proven = False

    def _take(self, read: Callable[[], bytes]) -> bytes:
        before, hashed = self._at, self._hashing.count
        data = super()._take(read)
        if before <= hashed < self._at:
            self._hashing.update(memoryview(data)[hashed - before :])
        if not self._proven and self._at >= self._size == self._hashing.count:
            require(self._place, self._known, self._hashing.digests())
            self._proven = True
        return data
