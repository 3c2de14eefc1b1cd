"""Moves that can be cut off anywhere: mark, copy, compare, delete, unmark.

No object store renames (Amazon S3 user guide, "Copying, moving, and renaming objects"). At every
moment the document is there under one of its names or both. Who finds it under both finds a mark,
too, a small object that says what was under way; without one, nothing is ever deleted.
"""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    LockedError,
    NotFoundError,
    StorageError,
)
from paperfleet.storage.bucket.client import PutCondition
from paperfleet.storage.bucket.copying import THROUGH_MEMORY, Origin
from paperfleet.storage.bucket.marks import MoveMark, state_of
from paperfleet.storage.bucket.settling import Marks

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore import Attributes

    from paperfleet.storage.bucket.client import FoundObject, ObjectClient
    from paperfleet.storage.bucket.copying import BucketCopier
    from paperfleet.storage.bucket.features import Probe
    from paperfleet.storage.namelocks import NameLocks

_log = logging.getLogger(__name__)

_JSON: Attributes = {"Content-Type": "application/json"}

FRESH = 5.0
"""Seconds for which what was read ahead may be moved without another look."""
_CLAIMS = 4
"""How often a mark is put where the one that was there has just gone."""


class Begun(NamedTuple):
    """A move that is claimed; the file, its bytes where they pass through here, and when that was.

    ``mark`` is None where the store cannot claim it before a look, or another move has it.
    """

    mark: MoveMark | None
    found: FoundObject
    data: bytes | None
    begun_at: float


class BucketMover:
    """Moves documents; one move of a file at a time, on all hosts where the store can ensure it."""

    def __init__(
        self,
        client: ObjectClient,
        probe: Probe,
        copier: BucketCopier,
        locks: NameLocks,
        content_sha256: Callable[[str, str], str],
    ) -> None:
        self._client = client
        self._probe = probe
        self._copier = copier
        self._locks = locks
        self._me = uuid.uuid4().hex
        self._marks = Marks(client, locks, content_sha256, self._me)

    def move(self, old_name: str, new_name: str) -> None:
        """Move a file; raise ``NotFoundError``, ``AlreadyExistsError``, ``LockedError``.

        A move of the same file to the same name that was cut off before is finished. What is moved
        and deleted was read under the claim: what was seen before it may be another's by then.
        """
        self._move(old_name, new_name, None)

    def _move(self, old_name: str, new_name: str, seen: FoundObject | None) -> None:
        self._client.keys.saved(new_name, "move")
        left: tuple[str, ...] = ()
        with self._locks.holding(old_name, new_name):
            if begun := self._read_claimed(old_name, new_name):
                self._end(begun)
            else:
                left = self._move_looking(old_name, new_name, seen)
        # Outside of the locks: it takes that of the new name itself.
        for copy in left:
            self._remove_copy(copy, new_name)

    def begin(self, old_name: str, new_name: str) -> Begun:
        """Claim a move and read its file; raise ``NotFoundError``. Ended or left in seconds."""
        self._client.keys.saved(new_name, "move")
        with self._locks.holding(old_name):
            if begun := self._read_claimed(old_name, new_name):
                self._marks.begun.add(self._marks.key(old_name))
                return begun
        old_key = self._client.keys.found(old_name, "move")
        return Begun(None, self._client.look(old_key, "move", old_name), None, time.monotonic())

    def end(self, begun: Begun, old_name: str, new_name: str) -> None:
        """Carry out what was begun; once, for this name, and soon: else move anew."""
        fresh = time.monotonic() - begun.begun_at <= FRESH
        with self._locks.holding(old_name, new_name):
            mark = self._taken(begun)
            if mark and mark.new_name == new_name and fresh:
                self._end(begun)
                return
            if mark:
                self._marks.remove(mark)
        self._move(old_name, new_name, begun.found if fresh and begun.mark is None else None)

    def leave(self, begun: Begun) -> None:
        """Take back the claim of a move that was begun and is not wanted."""
        if begun.mark is None:
            return
        with self._locks.holding(begun.mark.old_name):
            if mark := self._taken(begun):
                self._marks.remove(mark)

    def _taken(self, begun: Begun) -> MoveMark | None:
        """Return the claim, once."""
        key = self._marks.key(begun.mark.old_name) if begun.mark else ""
        if key not in self._marks.begun:
            return None
        self._marks.begun.remove(key)
        return begun.mark

    def _read_claimed(self, old_name: str, new_name: str) -> Begun | None:
        """Claim a move, and read the file under the claim; None where that cannot be."""
        if not self._copier.reads_to_copy():
            return None
        old_key = self._client.keys.found(old_name, "move")
        mark = MoveMark(
            old_name, new_name, THROUGH_MEMORY, 0, None, self._me, token=uuid.uuid4().hex
        )
        if not self._claim_free(mark):
            return None
        try:
            whole = self._copier.read(old_key, "move", old_name)
        except StorageError:
            self._marks.remove_if_possible(mark)
            raise
        return Begun(mark, whole.found, whole.data, time.monotonic())

    def _end(self, begun: Begun) -> None:
        """Write what was read to the new name, where the store itself refuses a taken one."""
        mark, found, data, _ = begun
        if mark is None:
            raise ValueError("nothing was claimed")
        old_key = self._client.keys.found(mark.old_name, "move")
        new_key = self._client.keys.saved(mark.new_name, "move")
        if data is None:  # too large: the store copies it, and the mark says what
            if self._client.find(new_key, "move", mark.new_name):
                self._marks.remove(mark)
                raise self._taken_name(mark.new_name)
            # Before the copy begins: a kill after it must find a mark that says of what it is.
            mark = mark.of_file(found)
            put = PutCondition("overwrite", _JSON)
            self._client.put(
                self._marks.key(mark.old_name), mark.as_bytes(), put, "move", mark.old_name
            )
        self._carry_out(mark, found, data, old_key, new_key)

    def _move_looking(
        self, old_name: str, new_name: str, seen: FoundObject | None
    ) -> tuple[str, ...]:
        """Move where the claim needs a look before it; look again under the claim.

        Return the names under which earlier moves may have left a copy.
        """
        old_key = self._client.keys.found(old_name, "move")
        new_key = self._client.keys.saved(new_name, "move")
        source = seen or self._client.look(old_key, "move", old_name)
        if self._client.find(new_key, "move", new_name):
            self._finish_earlier(old_key, old_name, new_name)
            return ()
        mark = MoveMark(old_name, new_name, source.size, source.modified_ns, source.etag, self._me)
        mark = self._claim(mark)
        # The look above was before the claim, and another move may have come between.
        self._require_unchanged(mark, old_key)
        self._carry_out(mark, source, None, old_key, new_key)
        return mark.left

    def _require_unchanged(self, mark: MoveMark, old_key: str) -> None:
        """Raise, without the claim, unless the file is still what was looked at before it."""
        found = self._client.find(old_key, "move", mark.old_name)
        if found and mark.is_of(found):
            return
        self._marks.remove(mark)
        if found is None:
            raise self._client.missing("move", mark.old_name)
        raise LockedError(
            "it was changed while its move began",
            operation="move",
            name=mark.old_name,
            storage=self._client.label,
        )

    def _claim_free(self, mark: MoveMark) -> bool:
        """Put the mark where none is; say whether that was so."""
        key, put = self._marks.key(mark.old_name), PutCondition("create", _JSON)
        try:
            self._client.put(key, mark.as_bytes(), put, "move", mark.old_name)
        except AlreadyExistsError:
            return False  # of another move, of one of ours that failed, or of this one's first try
        return True

    def _finish_earlier(self, old_key: str, old_name: str, new_name: str) -> None:
        mark = self._marks.read(self._marks.key(old_name))
        if mark and mark.new_name == new_name:
            self._marks.settle(mark)
            if self._client.find(old_key, "move", old_name) is None:
                return
        raise self._taken_name(new_name)

    def _taken_name(self, new_name: str) -> AlreadyExistsError:
        return AlreadyExistsError(
            "the name is taken", operation="move", name=new_name, storage=self._client.label
        )

    def _claim(self, mark: MoveMark) -> MoveMark:
        """Put the mark where none is, and return it; it takes over what an earlier one is about."""
        key = self._marks.key(mark.old_name)
        create = self._probe.features().create
        if not create and (earlier := self._marks.read(key)):
            mark = self._superseding(earlier, mark)
        put = PutCondition("create" if create else "overwrite", _JSON)
        for _ in range(_CLAIMS):
            try:
                self._client.put(key, mark.as_bytes(), put, "move", mark.old_name)
            except AlreadyExistsError:
                if earlier := self._marks.read(key):
                    if earlier == mark:
                        return mark  # a request that was sent again met its own first try
                    mark = self._superseding(earlier, mark)
            else:
                return mark
        raise LockedError(
            "other moves of this file are under way",
            operation="move",
            name=mark.old_name,
            storage=self._client.label,
        )

    def _superseding(self, earlier: MoveMark, mark: MoveMark) -> MoveMark:
        """Remove a mark that was left, and return the new one, which knows of the copies.

        To finish the earlier move now would take the file away from the one that is to begin.
        """
        if earlier.new_name == mark.new_name:
            self._marks.settle(earlier)
            return mark
        self._marks.require_abandoned(earlier)
        self._marks.remove(earlier)
        if not self._left_a_copy(earlier, mark):
            return mark
        return mark._replace(left=(*earlier.left, earlier.new_name))

    def _left_a_copy(self, earlier: MoveMark, mark: MoveMark) -> bool:
        """Say whether an earlier move of the same file may have left a copy of it."""
        if not earlier.token:
            return (earlier.size, earlier.etag) == (mark.size, mark.etag)
        copy_key = self._client.keys.found(earlier.new_name, "move")
        old_key = self._client.keys.found(mark.old_name, "move")
        copy = self._client.find(copy_key, "move", earlier.new_name)
        old = self._client.find(old_key, "move", mark.old_name)
        return copy is not None and old is not None and earlier.made(copy, old)

    def _remove_copy(self, left: str, new_name: str) -> None:
        """Remove a copy that a move has left, if it is the same as what was moved now."""
        if left == new_name:
            return
        new_key = self._client.keys.found(new_name, "move")
        copy_key = self._client.keys.found(left, "move")
        with self._locks.holding(left, new_name):
            try:
                if self._marks.equal((new_key, new_name), (copy_key, left)):
                    self._client.delete(copy_key, "move", left)
            except StorageError as error:
                _log.warning("A copy that a move left behind stays: %s", error)

    def _carry_out(
        self, mark: MoveMark, source: FoundObject, data: bytes | None, old_key: str, new_key: str
    ) -> None:
        try:
            if data is None:
                self._place(mark, source, old_key, new_key)
            else:
                # The store refuses a taken name, so that nobody has to look before.
                origin = Origin(mark.token, state_of(source))
                self._copier.place(source, data, new_key, "move", mark.new_name, origin)
            # Only now, with the copy proven at its new name.
            self._client.delete(old_key, "move", mark.old_name)
        except (AlreadyExistsError, NotFoundError, IntegrityError):
            self._marks.remove(mark)  # of all other errors the outcome is unclear: the mark stays
            raise
        # Last, and no error where it fails: a mark without its old name does no harm.
        self._marks.remove_if_possible(mark)

    def _place(self, mark: MoveMark, source: FoundObject, old_key: str, new_key: str) -> None:
        try:
            self._copier.create(source, old_key, new_key, "move", mark.new_name)
        except AlreadyExistsError:
            # Nothing was there a moment ago: a request that was sent again meets its own first try.
            if not self._marks.same(mark, old_key, new_key):
                raise
        except NotFoundError:
            raise self._client.missing("move", mark.old_name) from None

    def settle_all(self, older_than: float) -> int:
        """Finish or undo the moves whose marks are older than so many seconds; count them."""
        return self._marks.settle_all(older_than)
