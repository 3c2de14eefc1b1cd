"""Bringing files of an installation to the tree of the backup, which names them by SHA-256.

A file whose SHA-256 the database knows (paperless-ngx 3) is there or is not; nothing else is asked.
For the others it is remembered which content they had, by the database's MD5 (paperless-ngx 2) or
by what a listing of their area tells. So nothing is read twice.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.backup import points
from paperfleet.backup.manifest import BackedUpFile, tree_name
from paperfleet.errors import AlreadyExistsError, NotFoundError, Scope, StorageError
from paperfleet.paperless.areas import BUNDLES, LOGO, THUMBNAILS
from paperfleet.paperless.documents import digests, rows
from paperfleet.storage.full import full
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.copying import Copier
from paperfleet.transfer.progress import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from concurrent.futures import Future

    from paperfleet.model import FileStat
    from paperfleet.paperless.backup.expecting import ExportedFile
    from paperfleet.paperless.documents.rows import Expected
    from paperfleet.paperless.homes import Home
    from paperfleet.storage.full import FullStorage
    from paperfleet.transfer.progress import Progress, VerifiedFile

THREADS = 8
NEW = "new"
"""The folder of the tree in which a content lies before its SHA-256 is known."""
MISSING = "it is missing in the storage"
DIFFERS = "it has other bytes than the database has a checksum of"
REPLACED = "it was replaced again and again while it was read"
UNSUMMED = (THUMBNAILS, BUNDLES, LOGO)
"""The areas of whose files the database has no checksum."""
_SHA256_DIGITS = 64


class BroughtFile(NamedTuple):
    """A file of the backup.

    ``is_new`` says that it was copied; ``is_changed`` that the database has another word on it by
    now, so that a newer export is worth while.
    """

    file: BackedUpFile
    is_new: bool = False
    is_changed: bool = False


class Bringing:
    """Brings files to the tree; both storages are entered by the caller. For one run."""

    def __init__(self, home: Home, tree: FullStorage, known: Progress) -> None:
        self._home, self._tree, self._known = home, full(tree), known
        self._sizes: dict[str, int] = {}
        self._before: dict[str, dict[str, FileStat]] = {}
        self._listed: dict[str, dict[str, FileStat]] = {}
        self._copiers: dict[str, Copier] = {}

    def look(self) -> None:
        """Find out what the tree has, and remove what a run that was cut off has left in it."""
        for stat in list(self._tree.list_stats()):
            if stat.name.startswith(f"{NEW}/"):
                with suppress(NotFoundError):
                    self._tree.delete(stat.name)
            else:
                self._sizes[stat.name] = stat.size

    def watch(self, areas: Collection[str]) -> None:
        """Look, right before an export, at what no checksum in it can tell apart."""
        self._before = {area: self._listing(area) for area in UNSUMMED if area in areas}

    def bring(
        self, files: Iterable[ExportedFile], listener: Callable[[BroughtFile], object]
    ) -> Iterator[BroughtFile]:
        """Yield every file, in their order, once it is in the tree or cannot be.

        Raises ``StorageError`` for a storage that is out of reach as a whole.
        """
        self._listed.clear()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="backup") as pool:
            begun = [(wanted, self._begin(pool, wanted)) for wanted in files]
            # The database is asked from this thread alone: each would have a connection of its own.
            for wanted, first in begun:
                brought = self._ended(wanted, first)
                listener(brought)
                yield brought

    def _begin(
        self, pool: ThreadPoolExecutor, wanted: ExportedFile
    ) -> BackedUpFile | Future[BackedUpFile]:
        if not wanted.file.checksum:
            self._state(wanted.file)  # the listing is of before the first copy
        found = self._there(wanted.file)
        if found is not None:
            return _entry(wanted, *found)
        return pool.submit(self._copied, wanted, wanted.file.name)

    def _ended(
        self, wanted: ExportedFile, first: BackedUpFile | Future[BackedUpFile]
    ) -> BroughtFile:
        is_new = not isinstance(first, BackedUpFile)
        found = first if isinstance(first, BackedUpFile) else first.result()
        if found.fault:
            return self._again(wanted, found)
        if self._is_replaced(wanted.file):
            lost = found._replace(size=0, sha256="", fault=REPLACED)
            return BroughtFile(lost, is_changed=True)
        return BroughtFile(found, is_new=is_new)

    def _is_replaced(self, file: Expected) -> bool:
        """Say whether a file without a checksum has changed since before the export."""
        if file.checksum:
            return False
        stats = (
            listing.get(file.area, {}).get(file.name) for listing in (self._before, self._listed)
        )
        states = {state_of(stat) for stat in stats if stat is not None}
        known = self._known.verified.get(_place(file))
        states |= {known.source_state} if known else set()
        return len(states - {""}) > 1

    def prune(self, kept: Iterable[str]) -> int:
        """Remove from the tree every content but these SHA-256; return how many went."""
        names = {tree_name(sha256) for sha256 in kept}
        gone = [name for name in self._sizes if name not in names]
        for name in gone:
            with suppress(NotFoundError):
                self._tree.delete(name)
            del self._sizes[name]
        return len(gone)

    def _again(self, wanted: ExportedFile, first: BackedUpFile) -> BroughtFile:
        """Look for a file that was not under its name, or not as it was, where it may be by now."""
        now = rows.again(wanted.file)
        if now == wanted.file:  # it may have been elsewhere for a moment
            second = self._copied(wanted, wanted.file.name)
            return BroughtFile(second, is_new=bool(second.sha256))
        if now is not None and now.name != wanted.file.name:
            moved = self._copied(wanted, now.name)
            if not moved.fault:
                return BroughtFile(moved, is_new=True)
        return BroughtFile(first._replace(size=0, sha256=""), is_changed=True)

    def _copied(self, wanted: ExportedFile, name: str) -> BackedUpFile:
        """Copy a file to the tree; say in the entry what is wrong with it."""
        file = wanted.file
        try:
            copied = self._copy(file, name)
        except NotFoundError:
            return _entry(wanted, "", 0, MISSING)
        except StorageError as error:
            if error.scope is Scope.STORAGE:
                raise
            return _entry(wanted, "", 0, error.reason)
        if not self._is_right(file, copied.sha256):
            return _entry(wanted, copied.sha256, copied.size, DIFFERS)
        if len(file.checksum) != _SHA256_DIGITS:
            state = file.checksum or copied.source_state
            self._known.add(copied._replace(name=_place(file), source_state=state))
            points.passed("collect.noted")
        return _entry(wanted, copied.sha256, copied.size)

    def _there(self, file: Expected) -> tuple[str, int] | None:
        """Return SHA-256 and size of a file that the tree has; None when it has to be read."""
        if len(file.checksum) == _SHA256_DIGITS:
            size = self._sizes.get(tree_name(file.checksum))
            return None if size is None else (file.checksum, size)
        known = self._known.verified.get(_place(file))
        if known is None or self._sizes.get(known.target_name) != known.size:
            return None
        same = known.source_state and known.source_state == self._state(file)
        return (known.sha256, known.size) if same else None

    def _state(self, file: Expected) -> str:
        """Return what changes when the content of a file does; empty where nobody knows."""
        if file.checksum:
            return file.checksum
        if file.area not in self._listed:
            self._listed[file.area] = self._listing(file.area)
        stat = self._listed[file.area].get(file.name)
        return "" if stat is None else state_of(stat)

    def _listing(self, area: str) -> dict[str, FileStat]:
        return {stat.name: stat for stat in self._home.stats(area)}

    def _copy(self, file: Expected, name: str) -> VerifiedFile:
        """Copy a file to the tree, under the name of its content."""
        source = self._home.area(file.area)
        copier = self._copiers.setdefault(file.area, Copier(source, self._tree, Bandwidth(None)))
        temporary = f"{NEW}/{secrets.token_hex(8)}"
        copied = copier.bring_as(source.stat(name), temporary, None).verified
        final = tree_name(copied.sha256)
        points.passed("collect.copied")
        try:
            self._tree.move(temporary, final)
        except AlreadyExistsError:
            if self._tree.content_sha256(final) != copied.sha256:
                self._tree.delete(final)
                self._tree.move(temporary, final)
            else:
                self._tree.delete(temporary)
        self._sizes[final] = copied.size
        points.passed("collect.named")
        return copied._replace(target_name=final)

    def _is_right(self, file: Expected, sha256: str) -> bool:
        if not digests.is_checksum(file.checksum):
            return True
        if digests.is_md5(file.checksum):
            return digests.read(self._tree, tree_name(sha256)).md5 == file.checksum
        return sha256 == file.checksum


def _place(file: Expected) -> str:
    return f"{file.area}/{file.row}"


def _entry(wanted: ExportedFile, sha256: str, size: int, fault: str = "") -> BackedUpFile:
    file = wanted.file
    return BackedUpFile(file.row, file.area, file.name, wanted.name, size, sha256, fault)
