"""Backups without restic: plain files in a storage, for one that keeps versions or locks objects.

    NAME/paperfleet-backup.json                     which repository this is
    NAME/files/9f/9f86d081…                         every content once, named by its SHA-256
    NAME/backups/20260131T120000Z-1f6a23c4…/data/…  the database part, the manifest, the script
    NAME/backups/20260131T120000Z-1f6a23c4…/backup.json   written last: without it, it is none

Nothing is encrypted. One host at a time may back up under one name.
"""

from __future__ import annotations

import json
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from random import SystemRandom
from typing import IO, TYPE_CHECKING, Final, cast
from urllib.parse import quote

from paperfleet.backup import place as places
from paperfleet.backup.manifest import TREE, tree_name
from paperfleet.backup.place import BackupPlace
from paperfleet.backup.repository import BackupProgress, BackupSummary, Snapshot, StoredFile
from paperfleet.backup.snapshots import manifest_of
from paperfleet.errors import (
    BackupError,
    NotFoundError,
    RepositoryDamagedError,
    RepositoryError,
    StorageError,
)
from paperfleet.storage.full import full
from paperfleet.storage.hashing import CHUNK
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.copying import Copier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from paperfleet.storage.full import FullStorage
    from paperfleet.storage.protocol import DocumentStorage

THREADS: Final = 8
_MARK: Final = "paperfleet-backup.json"
_LAST: Final = "backup.json"
_BACKUPS: Final = "backups"
_PERIODS: Final = {"daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m"}


@dataclass(frozen=True)
class PlainStore:
    """A storage as a repository, with the methods of ``Restic`` that a backup needs.

    ``host`` is the name under which everything lies. Methods raise ``RepositoryError`` and
    ``StorageError``.
    """

    storage: FullStorage
    host: str
    _folders: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Where it is, without secrets."""
        return self.storage.label

    @property
    def _root(self) -> str:
        return quote(self.host, safe="")

    def identity(self) -> str:
        """Return the number that ``init`` gave it; empty where there is none."""
        with self.storage:
            try:
                return str(self._object(f"{self._root}/{_MARK}").get("id") or "unnamed")
            except NotFoundError:
                return ""

    def init(self) -> None:
        """Make it; raise when there is one."""
        if self.identity():
            raise RepositoryError(f"{self.label} has backups already")
        self._write(f"{self._root}/{_MARK}", {"id": secrets.token_hex(32), "version": 1})

    def backup(
        self,
        folder: Path,
        paths: Sequence[str],  # noqa: ARG002  # always data and tree
        *,
        host: str,
        tags: Sequence[str],
        listener: Callable[[BackupProgress], object],
    ) -> BackupSummary:
        """Copy what the store has not, and then the database part; its last file makes it one."""
        manifest = BackupPlace(folder).manifest()
        wanted = {file.sha256: file.size for file in manifest.files if file.sha256}
        source = full(LocalBackend(folder, create=False))
        now, number = datetime.now(UTC), secrets.token_hex(32)
        name = f"{self._root}/{_BACKUPS}/{now:%Y%m%dT%H%M%SZ}-{number}"
        with source, self.storage:
            there = self._contents()
            new = [one for one, size in wanted.items() if there.get(one) != size]
            total, done = sum(wanted[one] for one in new), [0, 0]
            copier = Copier(source, self.storage, Bandwidth(None))

            def bring(sha256: str) -> None:
                below = f"{TREE}/{tree_name(sha256)}"
                stat = source.stat(below)._replace(sha256=sha256)
                copier.bring_as(stat, f"{self._root}/{below}", None)

            with ThreadPoolExecutor(THREADS, thread_name_prefix="plain") as pool:
                for sha256, _ in zip(new, pool.map(bring, new), strict=True):
                    done = [done[0] + 1, done[1] + wanted[sha256]]
                    listener(BackupProgress(done[0], len(new), done[1], total))
            for stat in list(source.list_stats(places.DATA)):
                copier.bring_as(stat, f"{name}/{stat.name}", None)
            about: dict[str, object] = {
                "id": number,
                "time": now.isoformat(),
                "host": host,
                "tags": list(tags),
            }
            self._write(f"{name}/{_LAST}", about)
        same = len(wanted) - len(new)
        return BackupSummary(number, len(new), 0, same, sum(wanted.values()), total)

    def snapshots(self, *, host: str = "", tags: Sequence[str] = ()) -> list[Snapshot]:
        """Return those that have all of these tags, the oldest first."""
        found = []
        with self.storage:
            for folder, names in self._backups().items():
                if _LAST not in names:
                    continue
                about = self._object(f"{folder}/{_LAST}")
                texts = about.get("tags")
                made = Snapshot(
                    str(about.get("id")),
                    str(about.get("time")),
                    str(about.get("host")),
                    tuple(map(str, texts)) if isinstance(texts, list) else (),
                    (places.DATA, TREE),
                )
                self._folders[made.number] = folder
                if set(tags) <= set(made.tags) and host in ("", made.host):
                    found.append(made)
        return sorted(found, key=lambda one: one.moment)

    def forget(self, *, host: str, tags: Sequence[str], keep: Mapping[str, int]) -> None:
        """Keep so many backups of each kind, and the contents that any manifest names."""
        try:
            with self.storage:
                found = self.snapshots(host=host, tags=tags)
                kept = kept_of(found, keep)
                for one in found:
                    if one not in kept:
                        self._remove(self._folders[one.number])
                for folder, names in self._backups().items():
                    if _LAST not in names:  # a run that was cut off
                        self._remove(folder)
                self._prune()
        except StorageError as error:
            raise RepositoryError(
                f"old backups in {self.label} could not be removed: {error}",
                hint="Where the store locks objects, that is what it is for: let it remove them",
            ) from error

    def files(self, snapshot: str) -> Iterator[StoredFile]:
        """Yield every content that the store has, and what the backup has beside."""
        with self.storage:
            for sha256, size in self._contents().items():
                yield StoredFile(f"/{TREE}/{tree_name(sha256)}", size)
            folder = self._folder(snapshot)
            for stat in self.storage.list_stats(folder):
                yield StoredFile(stat.name.removeprefix(folder), stat.size)

    def digests(self, snapshot: str) -> Iterator[tuple[str, int, str]]:
        """Yield each content of a backup: the SHA-256 of its name, its size, and the real one."""
        wanted = {file.sha256 for file in manifest_of(self, snapshot).files if file.sha256}
        yield from self._read(sorted(wanted))

    def read(self, snapshot: str, path: str) -> bytes:
        """Return the content of one file, by its path from the root."""
        with self.storage, self.storage.open(self._name(snapshot, path)) as stream:
            return stream.read()

    def write(self, snapshot: str, path: str, target: IO[bytes]) -> None:
        """Write the content of one file to a stream."""
        with self.dumped(snapshot, path) as stream:
            shutil.copyfileobj(stream, target, CHUNK)

    @contextmanager
    def dumped(self, snapshot: str, path: str) -> Iterator[IO[bytes]]:
        """Give out a file of a backup as a stream."""
        with self.storage, self.storage.open(self._name(snapshot, path)) as stream:
            yield stream

    def restore(self, snapshot: str, target: Path, paths: Sequence[str] = ()) -> None:
        """Lay these folders of a backup out below a folder; what is there is written over."""
        with self.storage, full(LocalBackend(target, create=True)) as out:
            copier = Copier(self.storage, out, Bandwidth(None))
            wanted = [file for file in manifest_of(self, snapshot).files if file.sha256]
            contents = {f"/{TREE}/{tree_name(file.sha256)}" for file in wanted}
            names = [path for path in contents if path.startswith(tuple(f"{p}/" for p in paths))]
            if f"/{places.DATA}" in paths:
                folder = self._folder(snapshot)
                data = self.storage.list_stats(f"{folder}/{places.DATA}")
                names += [stat.name.removeprefix(folder) for stat in data]

            def bring(path: str) -> None:
                stat = self.storage.stat(self._name(snapshot, path))
                copier.bring_as(stat, path.removeprefix("/"), None)

            with ThreadPoolExecutor(THREADS, thread_name_prefix="plain") as pool:
                list(pool.map(bring, names))

    def check(self, *, subset: str = "") -> str:
        """Read every backup's manifest; with ``subset`` ("10%", "1/7") so many contents, too."""
        with self.storage:
            for one in self.snapshots():
                manifest_of(self, one.number)
            wrong = [name for name, _, sha256 in self._read(self._part(subset)) if name != sha256]
        if wrong:
            raise RepositoryDamagedError(
                f"{self.label}: {len(wrong):,} contents are not what their names say, such as"
                f" {tree_name(wrong[0])}",
                hint="Bring them back from an older version of the object or a copy. Or remove"
                " them: the next run copies them again where the documents are still there",
            )
        return ""

    def unlock(self) -> None:
        """Do nothing: it has no locks."""

    def has_dead_locks_alone(self) -> bool:
        """Say no: it has none."""
        return False

    def _contents(self) -> dict[str, int]:
        found = self.storage.list_stats(f"{self._root}/{TREE}")
        return {stat.name.rpartition("/")[2]: stat.size for stat in found}

    def _backups(self) -> dict[str, list[str]]:
        """Return the folders of backups, whole or not, with what is in each."""
        above = f"{self._root}/{_BACKUPS}/"
        found: dict[str, list[str]] = {}
        for name in self.storage.list_files(above.rstrip("/")):
            folder, _, rest = name.removeprefix(above).partition("/")
            found.setdefault(above + folder, []).append(rest)
        return found

    def _remove(self, folder: str) -> None:
        """Remove a backup; first what makes it one."""
        names = list(self.storage.list_files(folder))
        for name in sorted(names, key=lambda name: name != f"{folder}/{_LAST}"):
            self._delete(name)

    def _prune(self) -> None:
        """Remove the contents that no manifest names."""
        named = {
            file.sha256 for one in self.snapshots() for file in manifest_of(self, one.number).files
        }
        for sha256 in self._contents():
            if sha256 not in named:
                self._delete(f"{self._root}/{TREE}/{tree_name(sha256)}")

    def _delete(self, name: str) -> None:
        with suppress(NotFoundError):
            self.storage.delete(name)

    def _part(self, subset: str) -> list[str]:
        """Return which contents are read for a part such as ``10%`` or ``1/7``."""
        contents = sorted(self._contents()) if subset else []
        try:
            if subset.endswith("%"):
                count = -(-len(contents) * float(subset[:-1]) // 100)
                return SystemRandom().sample(contents, min(int(count), len(contents)))
            if subset:
                number, of = map(int, subset.split("/"))
                return contents[number - 1 :: of]
        except ValueError:
            raise BackupError(
                f"{subset!r} is no part of a repository", hint="Such as 10%, 1/7 or 100%"
            ) from None
        return contents

    def _read(self, contents: Iterable[str]) -> Iterator[tuple[str, int, str]]:
        def read(sha256: str) -> tuple[str, int, str]:
            name = f"{self._root}/{TREE}/{tree_name(sha256)}"
            try:
                return sha256, self.storage.size(name), self.storage.content_sha256(name)
            except NotFoundError:
                return sha256, 0, ""

        with self.storage, ThreadPoolExecutor(THREADS, thread_name_prefix="plain") as pool:
            yield from pool.map(read, contents)

    def _folder(self, snapshot: str) -> str:
        if snapshot not in self._folders:
            self.snapshots()
        if snapshot not in self._folders:
            raise RepositoryError(f"{self.label} has no backup {snapshot[:8]}")
        return self._folders[snapshot]

    def _name(self, snapshot: str, path: str) -> str:
        """Return where a path of a backup lies in the storage."""
        if path.startswith(f"/{TREE}/"):
            return f"{self._root}{path}"
        return f"{self._folder(snapshot)}{path}"

    def _object(self, name: str) -> dict[str, object]:
        with self.storage.open(name) as stream:
            text = stream.read()
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise RepositoryDamagedError(f"{self.label}: {name} is not what a backup wrote")
        return cast("dict[str, object]", value)

    def _write(self, name: str, value: dict[str, object]) -> None:
        with self.storage:
            self.storage.save(name, BytesIO(json.dumps(value).encode()))


def plain_store(storage: DocumentStorage, host: str) -> PlainStore:
    """Return the backups of one name in a storage."""
    return PlainStore(full(storage), host)


def kept_of(found: Sequence[Snapshot], keep: Mapping[str, int]) -> set[Snapshot]:
    """Return of these, the oldest first, the last ones of so many days, weeks and months (UTC)."""
    kept = set()
    for kind, count in keep.items():
        periods: list[str] = []
        for one in reversed(found):
            period = one.moment.astimezone(UTC).strftime(_PERIODS[kind])
            if period not in periods:
                periods.append(period)
                if len(periods) > count:
                    break
                kept.add(one)
    return kept
