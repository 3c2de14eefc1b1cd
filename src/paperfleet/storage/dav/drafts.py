"""Uploads that arrived whole and are not in place yet: kept, so that none is sent twice."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperfleet.errors import BusyError, LockedError, ThrottledError
from paperfleet.storage.dav.temporary import temporary_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.model import Upload
    from paperfleet.storage.dav.tidying import Temporaries

KEPT = 3600.0
"""Seconds for which a draft is kept for its next attempt."""


@dataclass(slots=True)
class Draft:
    """A temporary file; ``uploaded`` says that the whole content was sent to it."""

    temporary: str
    content: tuple[str | None, int, int | None]
    uploaded: bool = False
    kept_until: float = 0.0


class Drafts:
    """The temporary files of one storage; safe in many threads.

    Kept is one for each name, and only when the hash of its content is known. What is kept is lost
    with the process; a sweep of the next one removes it.
    """

    def __init__(self, temporaries: Temporaries) -> None:
        self._temporaries = temporaries
        self._kept: dict[str, Draft] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def draft(self, name: str, upload: Upload, *, listed: bool) -> Iterator[Draft]:
        """Yield the draft of an earlier attempt with this content, or a new one.

        ``listed`` is as in ``temporary_beside``.

        When the block fails it is removed, unless it is complete and the server only asked to wait.
        """
        draft = self._taken(name, upload, listed=listed)

        def kept(error: BaseException) -> bool:
            asked = isinstance(error, BusyError) and error.at_work
            waits = asked or isinstance(error, LockedError | ThrottledError)
            if not (waits and draft.uploaded and upload.sha256):
                return False
            draft.kept_until = time.monotonic() + KEPT
            with self._lock:
                self._kept[name] = draft
            return True

        with self._temporaries.removing(draft.temporary, kept):
            yield draft

    def _taken(self, name: str, upload: Upload, *, listed: bool) -> Draft:
        content = upload.sha256, upload.size, upload.modified_ns
        with self._lock:
            earlier = self._kept.pop(name, None)
        if earlier is not None and earlier.content == content:
            return earlier
        if earlier is not None:
            self._temporaries.discard(earlier.temporary)
        return Draft(temporary_beside(name, listed=listed), content)

    def has(self, name: str) -> bool:
        """Say whether a draft of this name waits for its next attempt."""
        with self._lock:
            return name in self._kept

    def __contains__(self, temporary: object) -> bool:
        """Say whether a temporary name waits for its next attempt."""
        now = time.monotonic()
        with self._lock:
            kept = self._kept.values()
            return any(one.temporary == temporary and one.kept_until > now for one in kept)
