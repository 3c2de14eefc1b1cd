"""Documents in a folder on disk."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import quote

from paperfleet.errors import (
    ConfigurationError,
    FileAccessError,
    InvalidNameError,
    LockedError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)
from paperfleet.filesystems import flush_folder
from paperfleet.model import ANYTHING, Capabilities, Precondition
from paperfleet.storage.conditions import check_saved_name, check_text, require_content
from paperfleet.storage.hashing import HashingReader, sha256_in
from paperfleet.storage.local import tree as localtree
from paperfleet.storage.local.blocks import Blocks
from paperfleet.storage.local.diagnosis import LocalChecks, name_fault
from paperfleet.storage.local.root import (
    LIST,
    TRIES,
    LocalPlace,
    LocalRoot,
    TranslatedFile,
    is_empty,
    open_file,
    stat_file,
    tells_case_apart,
)
from paperfleet.storage.local.writing import (
    LocalSaver,
    link_open,
    make_path,
    remove_emptied,
    remove_if_empty,
    rename_new,
)
from paperfleet.storage.names import check_name, check_prefix, is_below
from paperfleet.storage.oserrors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from paperfleet.diagnosis import Check
    from paperfleet.model import FileStat, Obstacle, Upload


class LocalBackend:
    """A folder on disk.

    ``follow_links`` follows symbolic links that stay inside; none is ever followed out of the
    folder. ``create`` makes the folder when the first block is entered, ``read_only`` refuses every
    change. Saves survive power loss: the bytes are on the disk before the name is, and the name
    before ``save`` returns (fsync(2), rename(2)).

    Folders that ``delete`` and ``move`` emptied are removed at the end of the outermost block of
    the thread, unless it ends with an exception. Conditions (``save_with``, ``delete_if``) are
    atomic among the threads that use this object; another process can come in between an etag's
    comparison and the change, but ``exists=False`` holds against everybody.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        follow_links: bool = False,
        create: bool = True,
        read_only: bool = False,
    ) -> None:
        if sys.getfilesystemencoding() != "utf-8":
            raise ConfigurationError(
                f"names of files would be read as {sys.getfilesystemencoding()}",
                hint="Set PYTHONUTF8=1, or a locale that uses UTF-8",
            )
        path = Path(os.path.abspath(root))  # noqa: PTH100 (Path.resolve would follow links)
        self.label = "file://" + quote(os.fsencode(path))
        self.read_only = read_only
        self._root = LocalRoot(path, self.label, follow_links=follow_links)
        self._create = create and not read_only
        self._case: bool | None = None
        self._capabilities: Capabilities | None = None
        self._blocks = Blocks()
        self._saver = LocalSaver(self._root)

    @property
    def root(self) -> Path:
        """The absolute path of the folder."""
        return self._root.path

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do; looks into the folder on first use."""
        if self._capabilities is None or self._case is None:
            self._capabilities = self._able()
        return self._capabilities

    def _able(self) -> Capabilities:
        writes = not self.read_only
        return Capabilities(
            stat=True,
            list_stats=True,
            survey=True,
            save_with=writes,
            conditional_delete=writes,
            move_folder=writes,
            folders=writes,
            content_hash=True,
            sweep=writes,
            free_space=True,
            keeps_modified=True,
            checks=True,
            case_sensitive=self._tells_case_apart(),
        )

    def _tells_case_apart(self) -> bool:
        if self._case is None and self.root.is_dir():
            # A folder that cannot be read has no files to confuse.
            with suppress(OSError):
                self._case = tells_case_apart(self._root, may_write=not self.read_only)
        return self._case is not False

    def __enter__(self) -> Self:
        """Open a block; raise ``NotAStorageError`` when the folder is not there."""
        with self._saver.changes:
            if self._create:
                with translated("create", "", self.label):
                    make_path(self.root)
                self._create = False  # a root that goes away later must not come back empty
        os.close(self._root.open())
        self._blocks.enter()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Leave a block; the outermost one of a thread removes the folders that it emptied."""
        emptied = self._blocks.leave()
        if exc_type is None:
            for folder in sorted(emptied, reverse=True):
                # An empty folder that stays harms nobody; a failure here would hide a success.
                with suppress(OSError):
                    remove_emptied(self._root, folder)

    def open(self, name: str) -> IO[bytes]:
        """Return a readable, seekable binary stream; raise ``NotFoundError``."""
        self._check("open", name)
        with translated("open", name, self.label):
            descriptor, _ = open_file(self._root, name)
        return io.BufferedReader(TranslatedFile(descriptor, name, self.label))

    def save(self, name: str, content: IO[bytes]) -> str:
        """Store all that ``content`` yields, replacing what was there; return the name.

        Readers see the old file or the new one, also after a kill or power loss.
        """
        self._check_saved(name)
        with self._saver.filled(name, content) as new:
            self._saver.commit(new, name, ANYTHING, None)
        return name

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save with a time of modification and under a condition (``SupportsSaveWith``)."""
        self._check_saved(name)
        self._saver.require_early(name, expect)
        with upload.open() as source:
            reader = HashingReader(source)
            with self._saver.filled(name, reader) as new:
                require_content(reader, upload, name=name, storage=self.label)
                return self._saver.commit(new, name, expect, upload.modified_ns)

    def adopt(self, descriptor: int, name: str) -> bool:
        """Give an open file a name here too, without copying it; raise ``AlreadyExistsError``.

        Says whether that was possible: only for a file of this filesystem, where that has hard
        links (link(2), by proc(5)), and where new files get nothing from their folder. Nothing is
        flushed.
        """
        self._check_saved(name)
        with translated("save", name, self.label), self._root.new_place(name) as place:
            return link_open(descriptor, place)

    def delete(self, name: str) -> None:
        """Remove the file; raise ``NotFoundError``."""
        self._delete(name, ANYTHING)

    def delete_if(self, name: str, etag: str) -> None:
        """Delete only the state with this etag; raise ``PreconditionFailedError`` otherwise."""
        self._delete(name, Precondition(etag=etag))

    def _delete(self, name: str, expect: Precondition) -> None:
        self._check_change("delete", name)
        with translated("delete", name, self.label), self._root.place(name, LIST) as place:
            self._root.refuse_link(place, name)
            with self._saver.changes:
                found = os.stat(place.last, dir_fd=place.folder, follow_symlinks=False)
                self._saver.require(place, name, expect, "delete")
                if stat.S_ISDIR(found.st_mode):
                    raise FileNotFoundError(errno.ENOENT, "it is a folder")
                os.unlink(place.last, dir_fd=place.folder)
            self._left(place, name)

    def _left(self, place: LocalPlace, name: str) -> None:
        """Make it durable that a name is gone, and remember its folder if that was the last."""
        flush_folder(place.folder)
        folder = name.rpartition("/")[0]
        if folder and is_empty(place.folder):
            self._blocks.note(folder)

    def exists(self, name: str) -> bool:
        """Say whether there is a file (not a folder) of this name."""
        try:
            self.stat(name)
        except NotFoundError:
            return False
        return True

    def move(self, old_name: str, new_name: str) -> None:
        """Rename a file; it has one of the two names at any time, and never replaces another.

        Raises ``NotFoundError`` for the old name, ``AlreadyExistsError`` for the new one.
        """
        self._rename(old_name, new_name, stat.S_ISREG)

    def move_folder(self, old_name: str, new_name: str, etag: str | None = None) -> None:
        """Rename a folder with all below it; ``etag`` is refused, folders here have none."""
        if etag is not None:
            raise PreconditionFailedError(
                "folders have no etag here", operation="move", name=old_name, storage=self.label
            )
        if is_below(new_name, old_name):
            raise InvalidNameError(
                "a folder cannot move into itself",
                operation="move",
                name=old_name,
                storage=self.label,
            )
        self._rename(old_name, new_name, stat.S_ISDIR)

    def _rename(self, old: str, new: str, is_wanted: Callable[[int], bool]) -> None:
        self._check_change("move", old)
        self._check_change("move", new)
        check_text(new, operation="move", storage=self.label)
        for _ in range(TRIES):
            with translated("move", old, self.label), self._root.place(old, LIST) as source:
                self._root.refuse_link(source, old)
                found = os.stat(source.last, dir_fd=source.folder, follow_symlinks=False)
                if not is_wanted(found.st_mode):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                # A missing file now: the old name or the new folder went away. Look again.
                with translated("move", new, self.label), suppress(FileNotFoundError):
                    self._rename_into(source, new)
                    self._left(source, old)
                    return
        raise LockedError("its folders come and go", operation="move", name=old, storage=self.label)

    def _rename_into(self, source: LocalPlace, new: str) -> None:
        with self._root.new_place(new) as target:
            self._root.refuse_link(target, new)
            with self._saver.changes:
                rename_new(source, target)
            flush_folder(target.folder)

    def list_files(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below a folder, a folder at a time, sorted by code point.

        Raises ``FileAccessError`` at a folder that cannot be read. What is not a file is left out;
        ``survey`` tells it.
        """
        return localtree.list_names(self._root, check_prefix(prefix, storage=self.label))

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """Yield every file below a folder; raise ``FileAccessError`` as ``list_files`` does."""
        return localtree.list_stats(self._root, check_prefix(prefix, storage=self.label))

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """Yield every file at or below ``prefix`` and every obstacle (``SupportsSurvey``)."""
        return localtree.survey(self._root, check_prefix(prefix, storage=self.label))

    def size(self, name: str) -> int:
        """Return the size in bytes; raise ``NotFoundError``."""
        return self.stat(name).size

    def stat(self, name: str) -> FileStat:
        """Return what the filesystem says of one file; raise ``NotFoundError``."""
        self._check("stat", name)
        with translated("stat", name, self.label):
            return localtree.file_stat(name, stat_file(self._root, name))

    def content_sha256(self, name: str) -> str:
        """Return the SHA-256 (hex) of the bytes on the disk."""
        with self.open(name) as stream:
            return sha256_in(stream)

    def make_folder(self, name: str) -> None:
        """Make a folder and its missing parents; ``AlreadyExistsError`` if one is a file."""
        self._check_change("make folder", name)
        check_text(name, operation="make folder", storage=self.label)
        with translated("make folder", name, self.label):
            os.close(self._root.open_folder(name, LIST, create=True))

    def remove_folder(self, name: str) -> bool:
        """Remove a folder if nothing at all is in it; say whether there is none now."""
        self._check_change("remove folder", name)
        with translated("remove folder", name, self.label):
            return remove_if_empty(self._root, name)

    def free_bytes(self) -> int | None:
        """Return how many bytes this user may still store; None while the folder is not there."""
        try:
            found = os.statvfs(self.root)
        except OSError:
            return None
        return found.f_bavail * found.f_frsize

    def sweep(self, older_than: float) -> int:
        """Remove what cut-off saves left behind, older than so many seconds; return how many."""
        self._check_writable("sweep", "")
        with translated("sweep", "", self.label):
            return localtree.sweep(self._root, older_than)

    def checks(self) -> list[Check]:
        """Return what can be looked at (``SupportsChecks``)."""
        return LocalChecks(self).checks()

    def name_fault(self, name: str) -> str:
        """Return why this name would be refused, '' for nothing known (``SupportsChecks``)."""
        try:
            check_saved_name(name, storage=self.label)
        except StorageError as error:
            return error.reason
        return name_fault(name)

    def _check(self, operation: str, name: str) -> None:
        check_name(name, storage=self.label, operation=operation)

    def _check_saved(self, name: str) -> None:
        check_saved_name(name, storage=self.label)
        self._check_writable("save", name)

    def _check_change(self, operation: str, name: str) -> None:
        self._check(operation, name)
        self._check_writable(operation, name)

    def _check_writable(self, operation: str, name: str) -> None:
        if self.read_only:
            raise FileAccessError(
                "the storage is opened for reading only",
                operation=operation,
                name=name,
                storage=self.label,
            )
