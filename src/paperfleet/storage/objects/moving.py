"""Moves that can be cut off anywhere: mark, copy, compare, delete, unmark.

No object store renames (Amazon S3 user guide, "Copying, moving, and renaming objects"). At every
moment the document is there under one of its names or both. Who finds it under both finds a mark,
too, a small object that says what was under way; without one, nothing is ever deleted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import uuid
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    LockedError,
    NotFoundError,
    Scope,
    StorageError,
)
from paperfleet.storage.objects.client import Put
from paperfleet.storage.objects.reading import open_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore import Attributes

    from paperfleet.storage.objects.client import Found, ObjectClient
    from paperfleet.storage.objects.copying import Copier
    from paperfleet.storage.objects.features import Probe
    from paperfleet.storage.objects.namelocks import NameLocks

_log = logging.getLogger(__name__)

LEAST_SECONDS = 60.0
_JSON: Attributes = {"Content-Type": "application/json"}
_MOST_BYTES = 1 << 20
"""Of a mark that are read; each name in it has at most 1,024 bytes."""

BYTES_PER_SECOND = 1_000_000
"""A mark counts as that of somebody at work for so long, and longer for larger files."""
FRESH = 5.0
"""Seconds for which what was read ahead may be moved without another look."""
_CLAIMS = 4
"""How often a mark is put where the one that was there has just gone."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a move was about, as of its beginning."""

    old_name: str
    new_name: str
    size: int
    modified_ns: int
    etag: str | None
    mover: str
    left: tuple[str, ...] = ()
    """Other names under which earlier moves of this file left a copy before they were cut off."""

    def as_bytes(self) -> bytes:
        """Return what is stored."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of(cls, stored: bytes) -> Mark | None:
        """Return the mark that ``as_bytes`` made, None for anything else."""
        try:
            known = json.loads(stored)
            mark = cls(**known | {"left": tuple(known.get("left", ()))})
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        texts = [mark.old_name, mark.new_name, mark.mover, mark.etag or "", *mark.left]
        numbers = [mark.size, mark.modified_ns]
        good = all(isinstance(text, str) for text in texts)
        return mark if good and all(type(number) is int for number in numbers) else None

    def is_of(self, found: Found) -> bool:
        """Say whether the old file is still the one that was to be moved."""
        state = (found.size, found.modified_ns, found.etag)
        return state == (self.size, self.modified_ns, self.etag)


class Source(NamedTuple):
    """The file to move, its bytes where they pass through here, and when (monotonic) it was."""

    found: Found
    data: bytes | None
    read_at: float


class Mover:
    """Moves documents; one move of a file at a time, on all hosts where the store can ensure it."""

    def __init__(
        self,
        client: ObjectClient,
        probe: Probe,
        copier: Copier,
        locks: NameLocks,
        content_sha256: Callable[[str, str], str],
    ) -> None:
        self._client = client
        self._probe = probe
        self._copier = copier
        self._locks = locks
        self._content_sha256 = content_sha256
        self._me = uuid.uuid4().hex

    def read(self, name: str) -> Source:
        """Return what ``move`` needs of a file; raise ``NotFoundError``."""
        key = self._client.keys.found(name, "move")
        if self._copier.reads_to_copy():
            return Source(*self._copier.read(key, "move", name), time.monotonic())
        return Source(self._client.look(key, "move", name), None, time.monotonic())

    def move(self, old_name: str, new_name: str, read: Source | None = None) -> None:
        """Move a file; raise ``NotFoundError``, ``AlreadyExistsError``, ``LockedError``.

        A move of the same file to the same name that was cut off before is finished. What was
        ``read`` some seconds ago is read again.
        """
        old_key = self._client.keys.found(old_name, "move")
        new_key = self._client.keys.saved(new_name, "move")
        with self._locks.holding(old_name, new_name):
            if read is None or time.monotonic() - read.read_at > FRESH:
                read = self.read(old_name)
            source, data, _ = read
            mark = Mark(old_name, new_name, source.size, source.modified_ns, source.etag, self._me)
            if data is None or not self._claim_free(mark):
                data = None
                if self._client.find(new_key, "move", new_name):
                    self._finish_earlier(old_key, old_name, new_name)
                    return
                mark = self._claim(mark)
            self._carry_out(mark, source, data, old_key, new_key)
        for left in mark.left:
            self._remove_copy(left, new_key, new_name)

    def _claim_free(self, mark: Mark) -> bool:
        """Put the mark where none is; say whether that was so."""
        key, put = self._mark_key(mark.old_name), Put("create", _JSON)
        try:
            self._client.put(key, mark.as_bytes(), put, "move", mark.old_name)
        except AlreadyExistsError:
            return False  # of another move, of one of ours that failed, or of this one's first try
        return True

    def _finish_earlier(self, old_key: str, old_name: str, new_name: str) -> None:
        mark = self._read_mark(self._mark_key(old_name))
        if mark and mark.new_name == new_name:
            self._settle(mark)
            if self._client.find(old_key, "move", old_name) is None:
                return
        raise AlreadyExistsError(
            "the name is taken", operation="move", name=new_name, storage=self._client.label
        )

    def _claim(self, mark: Mark) -> Mark:
        """Put the mark where none is, and return it; it takes over what an earlier one is about."""
        key = self._mark_key(mark.old_name)
        create = self._probe.features().create
        if not create and (earlier := self._read_mark(key)):
            mark = self._superseding(earlier, mark)
        put = Put("create" if create else "overwrite", _JSON)
        for _ in range(_CLAIMS):
            try:
                self._client.put(key, mark.as_bytes(), put, "move", mark.old_name)
            except AlreadyExistsError:
                if earlier := self._read_mark(key):
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

    def _superseding(self, earlier: Mark, mark: Mark) -> Mark:
        """Remove a mark that was left, and return the new one, which knows of the copies.

        To finish the earlier move now would take the file away from the one that is to begin.
        """
        if earlier.new_name == mark.new_name:
            self._settle(earlier)
            return mark
        self._require_abandoned(earlier)
        self._remove_mark(earlier)
        if (earlier.size, earlier.etag) != (mark.size, mark.etag):
            return mark
        return replace(mark, left=(*earlier.left, earlier.new_name))

    def _remove_copy(self, left: str, new_key: str, new_name: str) -> None:
        """Remove a copy that a move has left, if it is the same as what was moved now."""
        if left == new_name:
            return
        copy_key = self._client.keys.found(left, "move")
        with self._locks.holding(left, new_name):
            try:
                if self._equal((new_key, new_name), (copy_key, left)):
                    self._client.delete(copy_key, "move", left)
            except StorageError as error:
                _log.warning("A copy that a move left behind stays: %s", error)

    def _carry_out(
        self, mark: Mark, source: Found, data: bytes | None, old_key: str, new_key: str
    ) -> None:
        try:
            if data is None:
                self._place(mark, source, old_key, new_key)
            else:
                # The store refuses a taken name, so that nobody has to look before.
                self._copier.place(source, data, new_key, "move", mark.new_name)
            self._client.delete(old_key, "move", mark.old_name)
        except (AlreadyExistsError, NotFoundError, IntegrityError):
            self._remove_mark(mark)  # of all other errors the outcome is unclear: the mark stays
            raise
        try:
            self._remove_mark(mark)
        except StorageError as error:
            _log.warning("A mark stays, though the move is done; `sweep` removes it: %s", error)

    def _place(self, mark: Mark, source: Found, old_key: str, new_key: str) -> None:
        try:
            self._copier.create(source, old_key, new_key, "move", mark.new_name)
        except AlreadyExistsError:
            # Nothing was there a moment ago: a request that was sent again meets its own first try.
            if not self._same(mark, old_key, new_key):
                raise
        except NotFoundError:
            raise self._client.missing("move", mark.old_name) from None

    def settle_all(self, older_than: float) -> int:
        """Finish or undo the moves whose marks are older than so many seconds; count them."""
        count = 0
        for meta in self._client.list(self._client.keys.work_folder, "sweep"):
            kind = meta["path"].rpartition("/")[2].partition("-")[0]
            old_enough = time.time() - meta["last_modified"].timestamp() >= older_than
            if kind == "move" and old_enough and (mark := self._readable_mark(meta["path"])):
                count += self._settled(mark)
        return count

    def _readable_mark(self, key: str) -> Mark | None:
        """Return a mark; one that cannot be read is told, and stays."""
        try:
            return self._read_mark(key)
        except StorageError as error:
            if error.scope is Scope.STORAGE:
                raise
            _log.warning("%s", error)
            return None

    def _settled(self, mark: Mark) -> bool:
        """Settle a mark unless somebody may still be at work on it."""
        with self._locks.holding(mark.old_name, mark.new_name):
            try:
                self._settle(mark)
            except LockedError:
                return False
        return True

    def _settle(self, mark: Mark) -> None:
        """Finish what was cut off if the copy is whole, else forget it; ``LockedError`` if at work.

        The old file is deleted only while it is the very one that the mark is about, and the new
        one has the same content.
        """
        self._require_abandoned(mark)
        old_key = self._client.keys.found(mark.old_name, "move")
        new_key = self._client.keys.found(mark.new_name, "move")
        old = self._client.find(old_key, "move", mark.old_name)
        if old and mark.is_of(old) and self._same(mark, old_key, new_key):
            self._client.delete(old_key, "move", mark.old_name)
        self._remove_mark(mark)

    def _require_abandoned(self, mark: Mark) -> None:
        """Raise unless the mover is this one, whose locks we hold, or must have ended long ago."""
        found = self._client.find(self._mark_key(mark.old_name), "move", mark.old_name)
        if found is None or mark.mover == self._me:
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

    def _same(self, mark: Mark, old_key: str, new_key: str) -> bool:
        return self._equal((old_key, mark.old_name), (new_key, mark.new_name))

    def _equal(self, one: tuple[str, str], other: tuple[str, str]) -> bool:
        """Say whether the files of two keys and names are both there, with the same content."""
        found = [self._client.find(key, "move", name) for key, name in (one, other)]
        if found[0] is None or found[1] is None or found[0].size != found[1].size:
            return False
        first = found[0].sha256 or self._content_sha256(*one)
        return first == (found[1].sha256 or self._content_sha256(*other))

    def _mark_key(self, old_name: str) -> str:
        return self._client.keys.work("move", hashlib.sha256(old_name.encode()).hexdigest()[:32])

    def _read_mark(self, key: str) -> Mark | None:
        try:
            with open_object(self._client, key, "") as stream:
                mark = Mark.of(stream.read(_MOST_BYTES))
        except NotFoundError:
            return None
        if mark is None or self._mark_key(mark.old_name) != key:
            raise StorageError(
                f"the object {key} is no mark of a move",
                operation="move",
                storage=self._client.label,
                hint="Nothing is done on the strength of it. Remove it when no move is under way",
            )
        return mark

    def _remove_mark(self, mark: Mark) -> None:
        self._client.delete(self._mark_key(mark.old_name), "move", mark.old_name)
