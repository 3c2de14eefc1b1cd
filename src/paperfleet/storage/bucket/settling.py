"""The marks of moves in a store: read, removed, and settled where a move was cut off."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING

from paperfleet.errors import LockedError, NotFoundError, Scope, StorageError
from paperfleet.storage.bucket.marks import MoveMark
from paperfleet.storage.bucket.reading import open_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.bucket.client import FoundObject, ObjectClient
    from paperfleet.storage.namelocks import NameLocks

_log = logging.getLogger(__name__)

LEAST_SECONDS = 60.0
BYTES_PER_SECOND = 1_000_000
"""A mark counts as that of somebody at work for so long, and longer for larger files."""
_MOST_BYTES = 1 << 20
"""Of a mark that are read; each name in it has at most 1,024 bytes."""


class Marks:
    """The marks of one location; ``me`` is the mover whose locks are held by who asks."""

    def __init__(
        self,
        client: ObjectClient,
        locks: NameLocks,
        content_sha256: Callable[[str, str], str],
        me: str,
    ) -> None:
        self._client, self._locks, self._me = client, locks, me
        self._content_sha256 = content_sha256
        self.begun: set[str] = set()
        """Keys of the marks of moves that were begun here; changed under the locks of names."""

    def settle_all(self, older_than: float) -> int:
        """Finish or undo the moves whose marks are older than so many seconds; count them."""
        count = 0
        for meta in self._client.list(self._client.keys.work_folder, "sweep"):
            kind = meta["path"].rpartition("/")[2].partition("-")[0]
            old_enough = time.time() - meta["last_modified"].timestamp() >= older_than
            if kind == "move" and old_enough and (mark := self._readable_mark(meta["path"])):
                count += self._settled(mark)
        return count

    def _readable_mark(self, key: str) -> MoveMark | None:
        """Return a mark; one that cannot be read is told, and stays."""
        try:
            return self.read(key)
        except StorageError as error:
            if error.scope is Scope.STORAGE:
                raise
            _log.warning("%s", error)
            return None

    def _settled(self, mark: MoveMark) -> bool:
        """Settle a mark unless somebody may still be at work on it."""
        with self._locks.holding(mark.old_name, mark.new_name):
            try:
                self.settle(mark)
            except LockedError:
                return False
        return True

    def settle(self, mark: MoveMark) -> None:
        """Finish what was cut off if the copy is whole, else forget it; ``LockedError`` if at work.

        The old file is deleted only while it is the very one that the mark is about, and the new
        one has the same content.
        """
        self.require_abandoned(mark)
        old_key = self._client.keys.found(mark.old_name, "move")
        new_key = self._client.keys.found(mark.new_name, "move")
        old = self._client.find(old_key, "move", mark.old_name)
        if old and self._is_copied(mark, old, new_key) and self.same(mark, old_key, new_key):
            self._client.delete(old_key, "move", mark.old_name)
        self.remove(mark)

    def _is_copied(self, mark: MoveMark, old: FoundObject, new_key: str) -> bool:
        """Say whether the mark is about the old file as it is; a claim alone is about none."""
        if not mark.token:
            return mark.is_of(old)
        copy = self._client.find(new_key, "move", mark.new_name)
        return copy is not None and mark.made(copy, old)

    def require_abandoned(self, mark: MoveMark) -> None:
        """Raise unless the mover is this one, whose locks we hold, or must have ended long ago."""
        key = self.key(mark.old_name)
        found = self._client.find(key, "move", mark.old_name)
        if found is None or (mark.mover == self._me and key not in self.begun):
            return
        left = (
            LEAST_SECONDS
            + mark.size / BYTES_PER_SECOND
            - (time.time() - found.modified_ns / 1_000_000_000)
        )
        if left > 0:
            raise LockedError(
                f"a move to {mark.new_name!r} is under way, or was cut off moments ago",
                operation="move",
                name=mark.old_name,
                storage=self._client.label,
                hint="The next move, or `paperfleet repair`, finishes or undoes it after that time",
                retry_after=left,
            )

    def same(self, mark: MoveMark, old_key: str, new_key: str) -> bool:
        """Say whether both are there, with the same content, under the names of a move."""
        return self.equal((old_key, mark.old_name), (new_key, mark.new_name))

    def equal(self, one: tuple[str, str], other: tuple[str, str]) -> bool:
        """Say whether the files of two keys and names are both there, with the same content."""
        found = [self._client.find(key, "move", name) for key, name in (one, other)]
        if found[0] is None or found[1] is None or found[0].size != found[1].size:
            return False
        first = found[0].sha256 or self._content_sha256(*one)
        return first == (found[1].sha256 or self._content_sha256(*other))

    def key(self, old_name: str) -> str:
        """Return the key of the mark of a file that is moved."""
        return self._client.keys.work("move", hashlib.sha256(old_name.encode()).hexdigest()[:32])

    def read(self, key: str) -> MoveMark | None:
        """Return a mark, None where there is none; raise for an object that is no mark."""
        try:
            with open_object(self._client, key, "") as stream:
                mark = MoveMark.of(stream.read(_MOST_BYTES))
        except NotFoundError:
            return None
        if mark is None or self.key(mark.old_name) != key:
            raise StorageError(
                f"the object {key} is no mark of a move",
                operation="move",
                storage=self._client.label,
                hint="Nothing is done on the strength of it. Remove it when no move is under way",
            )
        return mark

    def remove(self, mark: MoveMark) -> None:
        """Remove a mark."""
        self._client.delete(self.key(mark.old_name), "move", mark.old_name)

    def remove_if_possible(self, mark: MoveMark) -> None:
        """Remove a mark of which nothing more is to come."""
        try:
            self.remove(mark)
        except StorageError as error:
            _log.warning("A mark stays, though the move is over; `sweep` removes it: %s", error)
