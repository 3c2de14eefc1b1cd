"""Local copies of documents, for programs and C libraries that need a real path.

A copy is kept under a key of its storage, name and content (its SHA-256 where the storage tells it,
else its version), so that it is never stale, and shared by all processes of the host: it is fetched
under a temporary name and renamed, so that a crash leaves nothing that looks whole. Its bytes are
compared with the checksum that the database has, or else the storage, before it is used.

Copies are removed, the longest unused first, when together they are larger than allowed
(``copyroom``); one that was asked for in the last hour is kept, since nobody says when a program is
done with it (the task limit of paperless-ngx is half an hour).
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from paperfleet.paperless.documents import files, looks, verification
from paperfleet.paperless.documents.copyroom import FETCHING, CopyRoom
from paperfleet.paperless.documents.digests import FileDigests, digests_of
from paperfleet.storage.hashing import CHUNK

if TYPE_CHECKING:
    from paperfleet.model import FileStat
    from paperfleet.paperless.documents.mounts import Place

_LONGEST_NAME = 200
_HASHES = 20_000
"""Of how many copies a process remembers the hash that it has read."""
_TRIES = 20
"""How often a document is fetched that others replace each time while it is fetched."""

_log = logging.getLogger("paperfleet.paperless")


class _OtherContentError(OSError):
    """What arrived is not what was looked at before."""


class LocalCopies:
    """The copies in one folder, together at most ``limit`` bytes where that can be."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self._room = CopyRoom(folder, limit)
        self._hashed: dict[Path, tuple[tuple[int, ...], FileDigests]] = {}

    def path_of(self, place: Place) -> Path:
        """Return the path of a copy of the document as it is now; raise ``OSError``."""
        return self._path_of(place, files.stat(place), _TRIES)

    def _path_of(self, place: Place, found: FileStat, tries: int) -> Path:
        try:
            return self._copy_of(place, found)
        except _OtherContentError:
            looks.changed(place)
            now = files.stat(place)
            if now == found or tries == 1:
                raise
        return self._path_of(place, now, tries - 1)  # somebody has replaced it meanwhile

    def _copy_of(self, place: Place, found: FileStat) -> Path:
        version = found.sha256 or found.etag or found.modified_ns
        if version is None:  # nothing tells whether a copy is still right
            return self._fetch(place, found, self._entry(place, found, os.urandom(8).hex()))
        entry = self._entry(place, found, str(version))
        path = self._usable(entry, place, found)
        return path or self._fetch(place, found, entry)

    def _entry(self, place: Place, found: FileStat, version: str) -> Path:
        label = place.mount.storage.label
        key = "\0".join((label, place.name, str(found.size), version))
        return self.folder / hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:40]

    def _usable(self, entry: Path, place: Place, found: FileStat) -> Path | None:
        path = entry / _file_name(place)
        try:
            if path.stat().st_size != found.size or not self._is_right(path, place, found):
                return None
            os.utime(entry)  # the time of the folder is when it was last asked for
        except FileNotFoundError:
            return None
        return path

    def _is_right(self, path: Path, place: Place, stat: FileStat) -> bool:
        """Compare a copy with the database, or else with what the storage says of the content.

        Its bytes are read once, and when they may differ.
        """
        known = verification.expected(place)
        if known is None and stat.sha256 is None:
            return True
        about = path.stat()
        state = (about.st_ino, about.st_mtime_ns, about.st_ctime_ns, about.st_size)
        noted, found = self._hashed.get(path, (None, None))
        if found is None or noted != state:
            found = digests_of(path)
            self._note_hash(path, state, found)
        if known is None:
            return found.sha256 == stat.sha256
        return verification.agrees(place, known, found)

    def _note_hash(self, path: Path, state: tuple[int, ...], found: FileDigests) -> None:
        self._hashed[path] = state, found
        while len(self._hashed) > _HASHES:
            self._hashed.pop(next(iter(self._hashed)), None)  # the oldest

    def _fetch(self, place: Place, found: FileStat, entry: Path) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._room.make()
        with tempfile.TemporaryDirectory(
            prefix=FETCHING, dir=self.folder, ignore_cleanup_errors=True
        ) as scratch:
            fetched = Path(scratch) / "copy"
            fetched.mkdir()
            target = fetched / _file_name(place)
            with files.open_stream(place) as content, target.open("xb") as copy:
                shutil.copyfileobj(content, copy, CHUNK)
                arrived = copy.tell()
            if arrived != found.size:
                text = f"{arrived} of {found.size} bytes arrived"
                raise _OtherContentError(errno.EIO, text, place.path)
            target.chmod(0o444)  # what a program wrote there would reach nobody
            is_right, read = self._is_right(target, place, found), self._hashed.pop(target, None)
            if not is_right:
                text = "other bytes arrived than the storage or the database says that it has"
                raise _OtherContentError(errno.EIO, text, place.path)
            # Else one that looked before another's copy came would move it away as damaged, from
            # under whoever was just told of it.
            with self._room.alone():
                path = self._usable(entry, place, found)
                if path is None:
                    with suppress(OSError):  # what a power cut has damaged
                        entry.rename(Path(scratch) / "damaged")
                    with suppress(OSError):  # what could not be moved away
                        fetched.rename(entry)
                        self._room.took(arrived)
                        if read:
                            self._note_hash(entry / target.name, *read)
                    path = self._usable(entry, place, found)
        if path is None:
            raise OSError(
                errno.ENOSPC, f"no local copy of {place.path} could be made in {self.folder}"
            )
        return path


def _file_name(place: Place) -> str:
    """Return the document's own name, cut where it would be too long; programs go by its ending."""
    path = PurePosixPath(place.name)
    encoded = path.stem.encode(errors="surrogateescape")[:_LONGEST_NAME]
    return encoded.decode(errors="ignore") + path.suffix[-20:]
