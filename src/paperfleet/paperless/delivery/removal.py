"""Removing the files that tasks wrote and did not commit (``written``); the sweeper's part.

One alone removes such a file. A worker that was cut off leaves what it wrote when it comes back
(``intents``), so that no name becomes free behind whom somebody deletes by that name
(docs/adr/0022). Every function raises ``DatabaseError``.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, Q
from django.db.models.functions import Now
from filelock import Timeout

from paperfleet.errors import LeaseError, NotFoundError, Scope, StorageError
from paperfleet.locks import clock
from paperfleet.paperless import points
from paperfleet.paperless.activation import documents, media_lock
from paperfleet.paperless.delivery.written import running
from paperfleet.paperless.documents import active, digests, files, rows, transactions
from paperfleet.paperless.documents.stillness import lock_rows
from paperfleet.paperless.models import Work, Written

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from paperfleet.model import FileStat
    from paperfleet.paperless.documents.digests import FileDigests
    from paperfleet.paperless.documents.mounts import Mount

SETTLED = 1200.0
"""Seconds after the end of an attempt in which a request of its host may still take effect: the
longest single one takes 900 (``bucket.options``), and TCP goes on sending for a while."""
AGAIN = 3600.0
"""Seconds after which a removal that did not come to its end is begun again, by whomever: until
then a request of the first one may be under way."""
_TABLE_SECONDS = 5.0
_LOCK_SECONDS = 5.0
_AT_REST = 30.0
"""Seconds within which a file is to be removed once nobody else writes; later it stays."""
_IDLE = "60s"
_BATCH = 100
_MOST_ALIKE = 50
_log = logging.getLogger("paperfleet.paperless")


def settle(settled: float = SETTLED) -> list[str]:
    """Remove files of attempts that are over and that no commit has named; return their keys.

    ``settled`` is how many seconds an attempt has to be over. Raises ``StorageError`` when the
    storage does not answer; what is in doubt stays.
    """
    _note_ended()
    past = Now() - timedelta(seconds=settled)
    begun_long_ago = Now() - timedelta(seconds=AGAIN)
    due = Written.objects.filter(ended__lt=past).filter(
        Q(removing=None) | Q(removing__lt=begun_long_ago)
    )
    found = list(due[:_BATCH])
    if not found:
        return []
    documents.require_same()
    sweep = _Removal(media_lock(), past)
    return [f"{one.area}/{one.name}" for one in found if sweep.remove(one)]


def _note_ended() -> None:
    Written.objects.filter(_over(), ended=None).update(ended=Now())


def _over() -> Any:  # noqa: ANN401  # a condition
    return ~Exists(running())


class _BusyError(Exception):
    """Somebody writes, or has changed the file: it is looked at again the next time."""


class _Removal:
    """Removes files by their notes; ``past`` is until when an attempt has to have ended."""

    def __init__(self, lock: Any, past: Any) -> None:  # noqa: ANN401  # a FileLock; an expression
        self._lock, self._past = lock, past

    def remove(self, note: Written) -> bool:
        """Remove the file of a note, if all says that nobody has it; return whether it was."""
        mount = next((one for one in active.mounts if one.key == note.area), None)
        if mount is None or not self._claimed(note):
            return False
        points.passed("sweep.claimed")
        claimed = clock.now()
        try:
            return self._remove(note, mount, claimed)
        except _BusyError as busy:
            _log.info("%s/%s is not removed yet: %s", note.area, note.name, busy)
            _mark(note.number).update(removing=None)
        except (StorageError, LeaseError) as error:
            # What was sent may still take effect, so that nobody tries again soon.
            _log.warning("%s/%s is not removed yet: %s", note.area, note.name, error)
            if getattr(error, "scope", Scope.STORAGE) is Scope.STORAGE:
                raise
        return False

    def _claimed(self, note: Written) -> bool:
        """Commit that this process is about to remove the file; nobody else does within ``AGAIN``.

        From here on no transaction can forget the note, and so commit the file.
        """
        mine = _mark(note.number).filter(_over(), ended__lt=self._past, removing=note.removing)
        return bool(mine.update(removing=Now()))

    def _remove(self, note: Written, mount: Mount, claimed: float) -> bool:
        found = mount.storage.find(note.name)
        if found is None or rows.is_named(note.area, note.name):
            _mark(note.number).delete()
            return False
        content = digests.read(mount.storage, note.name)
        if (found.size, content.sha256) != (note.size, note.sha256):
            return _leave(note, "it is not what the task wrote")
        with self._at_rest():
            began = clock.now()
            if not _mark(note.number).filter(_over(), ended__lt=self._past).exists():
                raise _BusyError("its note has changed")
            if rows.is_named(note.area, note.name):
                _mark(note.number).delete()
                return False
            if _is_needed(note, mount, content):
                return _leave(note, "a document whose file is missing has this content")
            if _is_last_copy(note):
                return _leave(note, "the file that its task was given is gone")
            _require_same(mount, found)
            points.passed("sweep.at_rest")
            if clock.now() - began > _AT_REST or clock.now() - claimed > AGAIN / 2:
                raise _BusyError("it took too long")
            with suppress(NotFoundError):
                mount.storage.delete(note.name)
            points.passed("sweep.removed")
            transactions.tell(mount, previous=note.name)
            _mark(note.number).delete()
        files.remove_emptied(files.folder_of(mount.place(note.name)))
        _log.warning(
            "%s/%s was removed: task %s wrote it, and ended before its document was committed",
            note.area,
            note.name,
            note.task_id,
        )
        return True

    @contextmanager
    def _at_rest(self) -> Iterator[None]:
        """Within this block nobody writes documents or their rows; raise ``_BusyError``.

        The rows first: who has some in hand may wait for the media lock, and gets it.
        """
        with transaction.atomic():
            try:
                lock_rows(_TABLE_SECONDS)
            except OperationalError as error:
                raise _BusyError(str(error)) from error
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE}'")
            try:
                self._lock.acquire(timeout=_LOCK_SECONDS)
            except (LeaseError, Timeout) as error:
                raise _BusyError(str(error)) from error
            try:
                yield
            finally:
                self._lock.release()


def _mark(number: uuid.UUID) -> Any:  # noqa: ANN401  # a query
    return Written.objects.filter(number=number)


def _leave(note: Written, why: str) -> bool:
    """Forget a note whose file is not removed: from now on it is an orphan as any other."""
    _log.warning(
        "%s/%s, which task %s wrote and did not commit, stays: %s. See paperfleet_check",
        note.area,
        note.name,
        note.task_id,
        why,
    )
    _mark(note.number).delete()
    return False


def _is_needed(note: Written, mount: Mount, content: FileDigests) -> bool:
    """Say whether the file may be what is left of a document."""
    for file in rows.with_checksum(note.area, (content.sha256, content.md5), _MOST_ALIKE):
        if mount.storage.find(file.name) is None:
            return True
    return False


def _is_last_copy(note: Written) -> bool:
    """Say whether a task that has not ended has lost the file that it was given.

    So it is after the database was put back to an earlier moment, or a standby took over that
    lacked the last commits: the note is of a document that was committed, and its upload went.
    """
    given = Work.objects.filter(task_id=note.task_id).values_list("files", flat=True)
    keys = [str(file["key"]) for one in given for file in one]
    if all(documents.opened().exists(key) for key in keys):
        return False
    return bool(given.exists())  # else it has ended just now, and its files went


def _require_same(mount: Mount, found: FileStat) -> None:
    now = mount.storage.find(found.name)
    if now is None or now._replace(sha256=None) != found._replace(sha256=None):
        raise _BusyError("it has changed")
