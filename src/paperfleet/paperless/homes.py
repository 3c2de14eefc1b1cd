"""Where documents can be: paperless-ngx's own folders, or a storage."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, cast
from urllib.parse import quote

from django.conf import settings

from paperfleet.errors import NotAStorageError
from paperfleet.model import NINE_METHODS
from paperfleet.paperless.areas import AREAS, ORIGINALS
from paperfleet.settings.storages import for_looking
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.names import collision_key
from paperfleet.storage.wrappers.base import Wrapper
from paperfleet.storage.wrappers.prefixed import Prefixed
from paperfleet.storage.wrappers.retrying import Retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import TracebackType

    from paperfleet.model import Capabilities, FileStat, Obstacle
    from paperfleet.storage.full import FullStorage
    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.storage.wrappers.base import EveryAbility

_T = TypeVar("_T")

IGNORED = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".keep", ".gitkeep"})
"""Names of files that are no documents wherever they lie."""


def local_names(root: str) -> Iterator[str]:
    """Yield the names of all files below a folder of the local disk, whatever is mounted there."""
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        for name in sorted(names):
            if name not in IGNORED:
                yield f"{folder}/{name}"[len(root) + 1 :]


KEPT = "kept"
"""Below this key lies what was in the way of a migration or a repair; nothing removes it."""
_TRIES = 3


class Home:
    """All documents of one place, by area; for use inside of its ``with`` block.

    ``base`` holds everything by key, such as ``originals/2024/a.pdf``. ``apart`` are areas that lie
    elsewhere.
    """

    def __init__(
        self,
        base: DocumentStorage,
        apart: Mapping[str, DocumentStorage] | None = None,
        label: str = "",
    ) -> None:
        self.base = full(base)
        self._apart = {key: full(storage) for key, storage in (apart or {}).items()}
        self.label = label or self.base.label
        self._blocks = ExitStack()

    @property
    def is_local_disk(self) -> bool:
        """Whether originals lie in paperless-ngx's own folders: no mark, and reading is cheap."""
        return ORIGINALS in self._apart

    def area(self, key: str) -> FullStorage:
        """Return what lies in one area."""
        return self._apart.get(key) or full(Prefixed(self.base, key))

    def stats(self, key: str) -> Iterator[FileStat]:
        """Yield every file of one area."""
        return self.area(key).list_stats()

    def survey(self, key: str) -> Iterator[FileStat | Obstacle]:
        """Yield every file of one area, and what is there and cannot be read as a file."""
        return self.area(key).whole_survey()

    def keep(self, key: str, name: str) -> str:
        """Copy a file that has to make way to a name below ``kept``, and return that."""
        kept = f"{KEPT}/{secrets.token_hex(6)}/{key}/{name}"
        with self.area(key).open(name) as content:
            self.base.save(kept, content)
        return kept

    def key_of(self, name: str) -> str:
        """Return what two names share exactly when this place takes them for one."""
        return collision_key(name, self.base.capabilities)

    def __enter__(self) -> Self:
        """Open all storages."""
        with ExitStack() as blocks:
            blocks.enter_context(self.base)
            for storage in self._apart.values():
                blocks.enter_context(storage)
            self._blocks = blocks.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Leave them; folders that were emptied go."""
        self._blocks.__exit__(exc_type, exc_val, exc_tb)


def local_root() -> Path:
    """Return the folder in which paperless-ngx keeps its documents by itself."""
    return Path(str(settings.MEDIA_ROOT)) / "documents"


def originals() -> Path:
    """Return the folder of originals as a path that leads nowhere else."""
    return Path(str(settings.ORIGINALS_DIR))


def local_label() -> str:
    """Return what that folder is called as the source of a migration."""
    return f"file://{quote(os.path.realpath(str(local_root())))}"


def own_folders(*, create: bool) -> Home:
    """Return paperless-ngx's own folders; one that is a link to another disk is followed.

    Without ``create`` a folder that is missing is empty, and not made.
    """
    folders = {
        area.key: own_folder(folder, create=create)
        for area in AREAS.values()
        if (folder := area.folder(settings))
    }
    return Home(own_folder(str(local_root()), create=create), folders, local_label())


def beside_own_folders(storage: DocumentStorage, areas: Collection[str], *, create: bool) -> Home:
    """Return a storage that has these areas, and paperless-ngx's own folders for the others."""
    own = {
        area.key: own_folder(folder, create=create)
        for area in AREAS.values()
        if area.key not in areas and (folder := area.folder(settings))
    }
    return Home(storage, own, full(storage).label)


class FolderToCome(Wrapper):
    """A folder of paperless-ngx that is not there (yet): empty, until somebody makes it.

    paperless-ngx makes that of archive versions with the first one, maybe while all of them are
    looked at. Only reads: what would change something raises ``NotAStorageError``.
    """

    def __init__(self, path: str) -> None:
        empty = MemoryBackend(capabilities=_READING)
        super().__init__(empty)
        self._empty, self._local = empty, LocalBackend(path, create=False, read_only=True)
        empty.label = self._local.label

    @property
    def capabilities(self) -> Capabilities:
        """What can be asked of it, whether it is there by now or not."""
        return _READING

    def _around(self, operation: str, names: tuple[str, ...], work: Callable[[], _T]) -> _T:
        if operation == "enter":
            return work()
        if self.inner is self._empty and self._local.root.is_dir():
            self.inner = self._local
            self._inner = cast("EveryAbility", self.inner)
        if operation not in _READS:
            raise NotAStorageError(
                "this folder was not there when this began",
                operation=operation,
                name=names[0] if names else "",
                storage=self.label,
                hint="Run it again",
            )
        return work()

    def __exit__(self, *exc_info: object) -> None:
        """Leave what was entered."""
        self._empty.__exit__(None, None, None)


_READING = replace(NINE_METHODS, stat=True, list_stats=True, survey=True, content_hash=True)
_READS = frozenset({"open", "exists", "list_files", "size", "stat", "list_stats", "survey"}) | {
    "content_sha256"
}


def own_folder(path: str, *, create: bool) -> DocumentStorage:
    """Return a folder of paperless-ngx; see ``own_folders``."""
    real = os.path.realpath(path)
    if not create and not os.path.isdir(real):  # noqa: PTH112  # Path would lead to the mount
        return FolderToCome(real)
    return LocalBackend(real, create=create)


def storage_home(storage: DocumentStorage, *, looking: bool = False) -> Home:
    """Return a storage as a home; what fails for a moment is tried again.

    ``looking`` is for a dry run: a local folder that is missing is empty, and not made.
    """
    used = for_looking(storage) if looking else storage
    return Home(Retrying(used, tries=_TRIES), label=full(storage).label)
