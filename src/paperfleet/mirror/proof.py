"""How it is known that what was sent is what the target holds, and how often that is known how."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal

from paperfleet.errors import (
    ArrivedDamagedError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.model import FileStat
    from paperfleet.storage.full import FullStorage

Verify = Literal["sample", "read", "size"]

logger = logging.getLogger(__name__)
BY_HASH = "hash"
BY_READING = "read"
BY_SIZE = "size"
FIRST = 3
"""Files that are read back at the beginning, where the target computes no hash of what it got."""
EVERY = 20
"""After those, one in so many."""


class Proof:
    """Decides what is read back, compares it, and counts; safe to use from many threads.

    ``verify``: ``read`` reads back every upload that the target itself did not hash, ``size`` none,
    ``sample`` the first and then some, and every one after the first that arrived damaged.
    """

    def __init__(self, verify: Verify, counted: object = None) -> None:
        self._verify = verify
        self._lock = threading.Lock()
        self._begun = 0
        self._damaged = False
        before = counted if isinstance(counted, dict) else {}
        self._counts = Counter({str(key): int(count) for key, count in before.items()})

    def wanted(self) -> bool:
        """Say whether the next upload is to be read back where the target does not hash it."""
        with self._lock:
            self._begun += 1
            if self._verify != "sample" or self._damaged:
                return self._verify != "size"
            return self._begun <= FIRST or self._begun % EVERY == 0

    def damaged(self) -> None:
        """Trust no upload of this target any more that was not read back."""
        with self._lock:
            self._damaged = True

    def counts(self) -> Mapping[str, int]:
        """Return how many uploads were proven by hash, by reading, and by their size alone."""
        with self._lock:
            return dict(self._counts)

    def require(
        self, target: FullStorage, stored: FileStat, sha256: str | None, *, wanted: bool
    ) -> None:
        """Raise ``ArrivedDamagedError`` when the bytes are read back and are others; count.

        What arrived damaged is taken away again, unless somebody wrote there meanwhile.
        """
        can = target.capabilities
        if can.hashes_uploads or (stored.sha256 is not None and not can.reads_back):
            how = BY_HASH
        elif stored.sha256 is not None:
            how = BY_READING
        elif wanted and sha256 is not None:
            self._read(target, stored, sha256)
            how = BY_READING
        else:
            how = BY_SIZE
        with self._lock:
            self._counts[how] += 1

    def _read(self, target: FullStorage, stored: FileStat, sha256: str) -> None:
        found = target.content_sha256(stored.name)
        if found == sha256:
            return
        self.damaged()
        _withdraw(target, stored)
        raise ArrivedDamagedError(
            "the target holds other bytes than were sent",
            operation="save",
            name=stored.name,
            storage=target.label,
            hint="Something between here and the target's disk changes what passes",
        )


def _withdraw(target: FullStorage, stored: FileStat) -> None:
    def is_same(now: FileStat) -> bool:
        return stored.etag is not None and now.etag == stored.etag

    try:
        target.delete_unchanged(stored.name, stored.etag, is_same)
    except (NotFoundError, PreconditionFailedError):
        return
    except StorageError as error:
        logger.warning("a file that arrived damaged is still there: %s", error)
