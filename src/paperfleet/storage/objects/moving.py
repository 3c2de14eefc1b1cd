"""Moves that can be cut off anywhere: mark, copy, compare, delete, unmark.

No object store renames (Amazon S3 user guide, "Copying, moving, and renaming objects"). At every
moment the document is there under one of its names or both. Who finds it under both finds a mark,
too, a small object that says what was under way; without one, nothing is ever deleted.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    LockedError,
    NotFoundError,
)
from paperfleet.storage.objects.client import Put
from paperfleet.storage.objects.reading import open_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.objects.client import Found, ObjectClient
    from paperfleet.storage.objects.copying import Copier
    from paperfleet.storage.objects.features import Probe
    from paperfleet.storage.objects.namelocks import NameLocks

LEAST_SECONDS = 60.0
BYTES_PER_SECOND = 1_000_000
"""A mark counts as that of somebody at work for so long, and longer for larger files."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a move was about, as of its beginning."""

    old_name: str
    new_name: str
    size: int
    modified_ns: int
    etag: str | None
    mover: str

    def is_of(self, found: Found) -> bool:
        """Say whether the old file is still the one that was to be moved."""
        state = (found.size, found.modified_ns, found.etag)
        return state == (self.size, self.modified_ns, self.etag)


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

    def move(self, old_name: str, new_name: str) -> None:
        """Move a file; raise ``NotFoundError``, ``AlreadyExistsError``, ``LockedError``.

        A move of the same file to the same name that was cut off before is finished.
        """
        old_key = self._client.keys.found(old_name, "move")
        new_key = self._client.keys.saved(new_name, "move")
        with self._locks.holding(old_name, new_name):
            source = self._client.look(old_key, "move", old_name)
            if self._client.find(new_key, "move", new_name):
                self._finish_earlier(old_key, old_name, new_name)
                return
            mark = Mark(old_name, new_name, source.size, source.modified_ns, source.etag, self._me)
            self._claim(mark)
            self._carry_out(mark, source, old_key, new_key)

    def _finish_earlier(self, old_key: str, old_name: str, new_name: str) -> None:
        mark = self._read_mark(self._mark_key(old_name))
        if mark and mark.new_name == new_name:
            self._settle(mark)
            if self._client.find(old_key, "move", old_name) is None:
                return
        raise AlreadyExistsError(
            "the name is taken", operation="move", name=new_name, storage=self._client.label
        )

    def _claim(self, mark: Mark) -> None:
        """Put the mark where none is, after settling what an earlier one is about."""
        key = self._mark_key(mark.old_name)
        create = self._probe.features().create
        if not create and (earlier := self._read_mark(key)):
            self._settle(earlier)
        put = Put("create" if create else "overwrite", {"Content-Type": "application/json"})
        data = json.dumps(asdict(mark)).encode()
        try:
            self._client.put(key, data, put, "move", mark.old_name)
        except AlreadyExistsError:
            if earlier := self._read_mark(key):
                if earlier == mark:
                    return  # a request that was sent again met its own first try
                self._settle(earlier)
            self._client.put(key, data, put, "move", mark.old_name)

    def _carry_out(self, mark: Mark, source: Found, old_key: str, new_key: str) -> None:
        try:
            self._place(mark, source, old_key, new_key)
            self._client.delete(old_key, "move", mark.old_name)
        except (AlreadyExistsError, NotFoundError, IntegrityError):
            self._remove_mark(mark)  # of all other errors the outcome is unclear: the mark stays
            raise
        self._remove_mark(mark)

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
            if kind == "move" and old_enough and (mark := self._read_mark(meta["path"])):
                count += self._settled(mark)
        return count

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
        old = self._client.find(old_key, "move", mark.old_name)
        new = self._client.find(new_key, "move", mark.new_name)
        if old is None or new is None or old.size != new.size:
            return False
        one = old.sha256 or self._content_sha256(old_key, mark.old_name)
        other = new.sha256 or self._content_sha256(new_key, mark.new_name)
        return one == other

    def _mark_key(self, old_name: str) -> str:
        return self._client.keys.work("move", hashlib.sha256(old_name.encode()).hexdigest()[:32])

    def _read_mark(self, key: str) -> Mark | None:
        try:
            with open_object(self._client, key, "") as stream:
                return Mark(**json.loads(stream.read()))
        except NotFoundError:
            return None

    def _remove_mark(self, mark: Mark) -> None:
        self._client.delete(self._mark_key(mark.old_name), "move", mark.old_name)
