"""Filling an empty installation with a backup: the files first, then the rows that name them.

So there is no moment at which a row names a file that is not there, and a restore that was cut off
goes on where it was: files that are there and right stay.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

from django.core.management import call_command
from django.db import transaction

from paperfleet.backup import place as places
from paperfleet.backup import points
from paperfleet.backup.instance import require_version
from paperfleet.backup.manifest import tree_name
from paperfleet.errors import BackupError
from paperfleet.filesystems import flush_filesystem_of
from paperfleet.paperless.areas import THUMBNAILS
from paperfleet.paperless.backup import trash
from paperfleet.paperless.backup.bringing import THREADS
from paperfleet.paperless.backup.expecting import areas_of
from paperfleet.paperless.care import setup
from paperfleet.paperless.documents import rows
from paperfleet.storage.full import full
from paperfleet.storage.hashing import sha256_in
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.copying import Copier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from paperfleet.backup.manifest import BackedUpFile, Manifest
    from paperfleet.backup.place import BackupPlace
    from paperfleet.paperless.homes import Home
    from paperfleet.storage.full import FullStorage

_SHOWN = 5
_MODE = 0o666
"""Of a new file, without what the process takes away from it (umask(2))."""


def restore(
    place: BackupPlace, version: str, listener: Callable[[BackedUpFile], object]
) -> Manifest:
    """Bring all of a backup into this installation; return what it has.

    Raises ``BackupError`` for an installation of another version or with other documents,
    ``StorageError`` for a storage that is out of reach.
    """
    manifest = place.manifest()
    require_version(manifest.paperless, version)
    has_rows = require_empty(manifest)
    home = setup.everything(create=True)
    with home:
        if setup.configured() is not None:
            setup.require_ours(home, setup.installation(), take=True)
        _bring(manifest, home, place, listener)
    points.passed("restore.filled")
    if has_rows:
        call_command("document_index", "reindex", no_progress_bar=True)
    else:
        folder = place / places.DATABASE
        with transaction.atomic() if trash.is_in(folder) else nullcontext():
            call_command("document_importer", str(folder), data_only=True, no_progress_bar=True)
            trash.restore(folder)
    points.passed("restore.imported")
    require_all(manifest)
    points.passed("restore.proven")
    return manifest


def require_empty(manifest: Manifest) -> bool:
    """Say whether the rows of this very backup are here already; raise for any other ones."""
    if not rows.all_documents().exists():
        return False
    if _named() != _named_by(manifest):
        raise BackupError(
            "this installation has documents, and a restore is for an empty one",
            hint="Restore into a new one; or into a folder (paperfleet backup restore --to)",
        )
    return True


def require_all(manifest: Manifest) -> None:
    """Raise ``BackupError`` unless the database names just the files that were restored."""
    found, wanted = _named(), _named_by(manifest)
    if found != wanted:
        shown = ", ".join("/".join(map(str, one)) for one in sorted(found ^ wanted)[:_SHOWN])
        raise BackupError(
            f"after the import the database names other files than the backup has: {shown}",
            hint="Do not use this installation; restore another backup into a new one",
        )


def _named() -> set[tuple[str, str, int]]:
    files = rows.expected(areas_of(thumbnails=False))
    return {(file.area, file.name, file.row) for file in files}


def _named_by(manifest: Manifest) -> set[tuple[str, str, int]]:
    """Return what rows name; thumbnails follow from them, and may have been left out."""
    named = (file for file in manifest.files if file.role != THUMBNAILS)
    return {(file.role, file.key, file.document) for file in named}


def _bring(
    manifest: Manifest,
    home: Home,
    place: BackupPlace,
    listener: Callable[[BackedUpFile], object],
) -> None:
    files = [file for file in manifest.files if file.sha256]
    with full(LocalBackend(place.tree, create=False)) as tree:
        filling = _Filling(home, place, tree, files)
        filling.flush(place.tree)  # no name in the installation is there before its bytes
        with ThreadPoolExecutor(THREADS, thread_name_prefix="restore") as pool:
            for file in pool.map(filling.bring, files):
                listener(file)
        for root in filling.roots:
            filling.flush(root)


class _Filling:
    """Brings files of a backup, which nobody else uses, to where the installation has them.

    A file gets its name there without being copied where that is possible, and where no other file
    has the same content: each is one of its own as soon as the backup is removed.
    """

    def __init__(
        self, home: Home, place: BackupPlace, tree: FullStorage, files: list[BackedUpFile]
    ) -> None:
        self._home, self._place, self._tree = home, place, tree
        self._areas = {area: home.area(area) for area in {file.role for file in files}}
        bandwidth = Bandwidth(None)
        self._copiers = {a: Copier(tree, area, bandwidth) for a, area in self._areas.items()}
        self._uses = Counter(file.sha256 for file in files)
        self._mode = _MODE & ~_mask()
        folders = ((area, storage.inner) for area, storage in self._areas.items())
        self._folders = {a: inner for a, inner in folders if isinstance(inner, LocalBackend)}
        self.roots = {folder.root for folder in self._folders.values()}

    def bring(self, file: BackedUpFile) -> BackedUpFile:
        """Bring one, unless it is there; any thread may call. Raises ``BackupError``."""
        area = self._areas[file.role]
        there = area.find(file.key)
        if there is None:
            if not self._adopted(file):
                source = self._tree.stat(tree_name(file.sha256))._replace(sha256=file.sha256)
                self._copiers[file.role].bring_as(source, file.key, None)
            points.passed("restore.brought")
        elif (there.sha256 or area.content_sha256(file.key)) != file.sha256:
            raise BackupError(
                f"{self._home.label} has another file under {file.role}/{file.key}, and nothing"
                " there is ever replaced",
                hint="Restore into an empty storage",
            )
        return file

    def flush(self, folder: Path) -> None:
        """Make durable what was written to the filesystem of a folder."""
        if not self._folders:  # a storage sees to that by itself
            return
        try:
            flush_filesystem_of(folder)
        except OSError as error:
            raise BackupError(
                f"what was restored could not be written to {folder}: {error}",
                hint="Look at that disk, and restore into an empty installation on a sound one",
            ) from None

    def _adopted(self, file: BackedUpFile) -> bool:
        folder = self._folders.get(file.role)
        if folder is None or self._uses[file.sha256] > 1:
            return False
        try:
            with open(
                self._place.tree / tree_name(file.sha256), "rb", opener=_not_by_link
            ) as stream:
                if _is_ours(stream.fileno()) and sha256_in(stream) == file.sha256:
                    os.fchmod(stream.fileno(), self._mode)
                    return folder.adopt(stream.fileno(), file.key)
        except OSError:
            pass
        return False  # the copier says what is wrong with it, if anything


def _is_ours(descriptor: int) -> bool:
    """Say whether a file belongs to whom a new one would: restic as root gives it its old owner."""
    found = os.fstat(descriptor)
    return (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())


def _not_by_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def _mask() -> int:
    """Return which rights new files of this process lack; no thread may make one meanwhile."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
