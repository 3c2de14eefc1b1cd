"""Delete single files at the source, each after another look at its copy at the target."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile, mkstemp
from typing import IO, TYPE_CHECKING, cast

from paperfleet.errors import IntegrityError, NotFoundError, StorageError
from paperfleet.model import ABSENT, Upload
from paperfleet.storage.apartness import local_root
from paperfleet.storage.hashing import CHUNK, sha256_in
from paperfleet.transfer.progress import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.model import FileStat
    from paperfleet.storage.full import FullStorage
    from paperfleet.transfer.progress import VerifiedFile

_IN_MEMORY = 8 << 20


class NotApartError(StorageError):
    """What was deleted at the source went away at the target; it was put back."""


class LettingGo:
    """Deletes proven files; the two storages were found to be apart before.

    That proof has a gap: a cache at the source may hide the probe, and a folder of the source may
    be a mount of the target's. So the first file of each folder is held here while it is deleted:
    when its copy goes away with it, it is put back, and nothing more is deleted.
    """

    def __init__(self, source: FullStorage, target: FullStorage) -> None:
        self._source, self._target = source, target
        self._roots = (local_root(source), local_root(target))
        self._apart: set[str] = set()

    def delete(self, source: FileStat, entry: VerifiedFile) -> str:
        """Delete a file at the source; return why it was kept instead, '' when it is gone.

        Raises ``NotApartError`` when no other file may be deleted, and other ``StorageError``.
        """
        if self._is_one_file(source.name, entry.target_name):
            raise _not_apart(source.name, self._source, "it is the very same file at the target")
        if not self._is_whole(entry):
            return "the copy at the target is not the one that was proven; migrate again"
        folder = source.name.rpartition("/")[0]
        if folder in self._apart:
            self._source.delete(source.name)
            return ""
        with self._held(source.name, entry) as held:
            if held is None:
                return "it changed after it was verified"
            self._source.delete(source.name)
            try:
                stays = self._reads_equal(entry)
            except BaseException:
                self._put_back(source, held)  # nobody knows whether the copy went with it
                raise
            if not stays:
                self._put_back(source, held)
                raise _not_apart(
                    source.name, self._source, "its copy at the target went away with it"
                )
        self._apart.add(folder)
        return ""

    def _is_one_file(self, name: str, target_name: str) -> bool:
        """Say whether two names on this machine are one entry of one folder.

        Two hard links are not: the other one stays.
        """
        one, two = self._roots
        if one is None or two is None:
            return False
        here, there = one / name, two / target_name
        try:
            return here.name == there.name and here.parent.samefile(there.parent)
        except OSError:
            return False

    def _is_whole(self, entry: VerifiedFile) -> bool:
        """Say whether the target still has what was proven, by its bytes if need be."""
        found = self._target.find(entry.target_name)
        if found is None or found.size != entry.size:
            return False
        if entry.target_state and entry.target_state == state_of(found):
            return True
        digest = found.sha256 or self._target.content_sha256(entry.target_name)
        return digest == entry.sha256

    def _reads_equal(self, entry: VerifiedFile) -> bool:
        """Read the copy at the target: a listing or an etag may come from a cache."""
        try:
            with self._target.open(entry.target_name) as stream:
                return sha256_in(stream) == entry.sha256
        except (NotFoundError, IntegrityError):
            return False

    @contextmanager
    def _held(self, name: str, entry: VerifiedFile) -> Iterator[IO[bytes] | None]:
        """Yield the content of a file at the source, kept here; None when it is another now."""
        with SpooledTemporaryFile(_IN_MEMORY) as spool:
            digest = hashlib.sha256()
            with self._source.open(name) as stream:
                while data := stream.read(CHUNK):
                    digest.update(data)
                    spool.write(data)
            yield cast("IO[bytes]", spool) if digest.hexdigest() == entry.sha256 else None

    def _put_back(self, source: FileStat, held: IO[bytes]) -> None:
        """Save what was deleted: at the source, else at the target, else on this machine.

        Where the name is taken at the source, somebody's file came back or came; it stays.
        """
        upload = Upload(lambda: _rewound(held), source.size, source.modified_ns)
        for storage in (self._source, self._target):
            with suppress(StorageError):
                storage.save_with(source.name, upload, ABSENT)
                return
        descriptor, path = mkstemp(prefix="paperfleet-rescued-")
        with os.fdopen(descriptor, "wb") as rescued, _rewound(held) as content:
            shutil.copyfileobj(content, rescued)
        raise _not_apart(
            source.name, self._source, f"it could not be put back; its content is in {path}"
        )


def _rewound(held: IO[bytes]) -> IO[bytes]:
    """Return a stream of its own: whoever saves closes what it was given."""
    held.seek(0)
    copy = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed by whoever saves
    shutil.copyfileobj(held, copy)
    copy.seek(0)
    return cast("IO[bytes]", copy)


def _not_apart(name: str, source: FullStorage, reason: str) -> NotApartError:
    return NotApartError(
        reason,
        operation="delete",
        name=name,
        storage=source.label,
        hint="Source and target are one place: nothing more was deleted, and this file is there",
    )
