"""The documents of paperless-ngx, wherever they are, as the source of a mirror.

The mirror is the one of ``paperfleet mirror``: rows of the outbox are hints to it as events of
inotify are, and it looks at everything at its start and every hour, as ever.
"""

from __future__ import annotations

import heapq
import logging
import time
from itertools import chain
from typing import TYPE_CHECKING, NoReturn, Self

from django.db import DatabaseError, close_old_connections, connection

from paperfleet.errors import NotFoundError
from paperfleet.mirror.watch.choose import Hint
from paperfleet.mirror.watch.wakeup import Wakeup
from paperfleet.paperless.areas import MIRRORED
from paperfleet.paperless.outbox import outbox
from paperfleet.running.build import MirrorSource
from paperfleet.storage.full import full
from paperfleet.storage.names import check_prefix
from paperfleet.storage.wrappers.base import Wrapper
from paperfleet.storage.wrappers.fenced import Fenced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from paperfleet.model import FileStat, Obstacle
    from paperfleet.paperless.models import DocumentChange
    from paperfleet.storage.protocol import DocumentStorage

POLL_SECONDS = 1.0
"""How often the outbox is read: one query that finds nothing, mostly."""
LOOK_AGAIN = (2.0, 30.0)
"""Seconds after which a deleted name is looked at again: its file goes just after the commit."""

_log = logging.getLogger("paperfleet.paperless")


class DocumentsAlone(Wrapper):
    """Of a storage of documents, what is mirrored: originals and archive, and no other folder."""

    def list_files(self, prefix: str = "") -> Iterable[str]:
        """See ``DocumentStorage``."""
        return chain.from_iterable(map(super().list_files, _areas(prefix)))

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """See ``SupportsListStats``."""
        return chain.from_iterable(map(super().list_stats, _areas(prefix)))

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """See ``SupportsSurvey``."""
        return chain.from_iterable(map(super().survey, _areas(prefix)))

    def stat(self, name: str) -> FileStat:
        """See ``SupportsStat``."""
        if not _areas(name):
            raise NotFoundError("it is no document", operation="stat", name=name)
        return super().stat(name)


def _areas(prefix: str) -> list[str]:
    """Return the folders of documents that a folder has, or lies in."""
    folder = check_prefix(prefix)
    if not folder:
        return sorted(MIRRORED)
    return [folder] if folder.partition("/")[0] in MIRRORED else []


class OutboxWatcher:
    """Hints at the documents that the outbox names (``paperfleet.mirror.watch.choose.Watcher``)."""

    def __init__(self, keep_days: float | None = None, poll_seconds: float = POLL_SECONDS) -> None:
        self._poll, self._keep_days = poll_seconds, keep_days
        self._wakeup = Wakeup()
        self._reader = outbox.Reader(0)
        self._again: list[tuple[float, str]] = []
        self._away = False

    @property
    def description(self) -> str:
        """Say how changes are noticed."""
        return f"the outbox of {connection.vendor}, every {self._poll:g} s"

    @property
    def sees_writers(self) -> bool:
        """Say yes: a storage shows a document when all of it is there."""
        return True

    def __enter__(self) -> Self:
        """Begin with what comes after the newest change; raises ``DatabaseError``."""
        self._wakeup.__enter__()
        self._reader = outbox.Reader(outbox.newest(), self._keep_days)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._wakeup.__exit__(exc_type, exc_val, exc_tb)

    def wait(self, timeout: float) -> list[Hint]:
        """Return hints as soon as there are any, [] after ``timeout`` seconds or when woken."""
        deadline = time.monotonic() + timeout
        while True:
            hints = [*self._read(), *self._due()]
            left = deadline - time.monotonic()
            if hints or left <= 0 or self._wakeup.sleep(min(self._poll, left)):
                return hints

    def wake(self) -> None:
        """Make ``wait`` return at once; from any thread or signal handler."""
        self._wakeup.wake()

    def _read(self) -> list[Hint]:
        """Read what is new; a database that does not answer is asked again next time."""
        try:
            close_old_connections()
            changes = self._reader.read()
        except DatabaseError as error:
            if not self._away:
                _log.warning("the outbox cannot be read, and is tried again: %s", error)
            self._away = True
            connection.close()
            return []
        self._away = False
        return [hint for change in changes for hint in self._hints(change)]

    def _hints(self, change: DocumentChange) -> Iterator[Hint]:
        name, previous = (f"{change.area}/{n}" if n else "" for n in (change.name, change.previous))
        if name:
            yield Hint(name, partner=previous or None)
            return
        yield Hint(previous)
        now = time.monotonic()
        for seconds in LOOK_AGAIN:
            heapq.heappush(self._again, (now + seconds, previous))

    def _due(self) -> Iterator[Hint]:
        while self._again and self._again[0][0] <= time.monotonic():
            yield Hint(heapq.heappop(self._again)[1])


def source_of(storage: DocumentStorage, keep_days: float | None = None) -> MirrorSource:
    """Return the documents of a storage as a source, which is only read.

    Changes that are older than ``keep_days`` are removed from the outbox meanwhile.
    """
    label = full(storage).label

    def refuse() -> NoReturn:
        raise AssertionError(f"the mirror must not write to its source {label}")

    return MirrorSource(Fenced(DocumentsAlone(storage), refuse), OutboxWatcher(keep_days))
