"""Whatever fsspec speaks: SFTP, SMB and dozens of others, as a document storage."""

from __future__ import annotations

import datetime as dt
import errno
import threading
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Self, cast

import fsspec
from fsspec.spec import AbstractFileSystem

from paperfleet.errors import (
    AlreadyExistsError,
    ConfigurationError,
    FileAccessError,
    InvalidNameError,
    NotFoundError,
    StorageError,
    UnavailableError,
)
from paperfleet.model import Capabilities, FileStat, Obstacle
from paperfleet.secret import Secret
from paperfleet.storage import oserrors
from paperfleet.storage.addresses import redacted
from paperfleet.storage.conditions import check_saved_name, check_text
from paperfleet.storage.hashing import CHUNK
from paperfleet.storage.names import (
    RESERVED,
    TEMPORARY_PREFIX,
    check_name,
    check_prefix,
    is_temporary,
    is_utf8,
    parents,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

Entry = dict[str, Any]


class FsspecBackend:
    """The files below one path of a filesystem of fsspec.

    ``url`` is what fsspec takes (``sftp://host/path``, ``smb://host/share/path``), ``options`` are
    those of the filesystem's class, such as ``username``, ``password``, ``key_filename``.

    A save writes a temporary file beside and renames it, so it is as atomic as the renaming of that
    filesystem: SFTP and local ones replace a file at once; where a file cannot be replaced, the old
    one is set aside first, and for a moment the name is free. One without renaming copies. ``move``
    looks whether the new name is free right before. Threads of this object take turns with both;
    other hosts do not.

    Raises ``ConfigurationError``; connects on first use.
    """

    def __init__(self, url: str, **options: object) -> None:
        self.label = redacted(url)
        self._url = url
        self._options = {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in options.items()
        }
        self._lock = threading.RLock()
        self._opened: tuple[Any, str] | None = None
        protocol = url.partition("://")[0].rpartition("::")[2]
        if protocol not in fsspec.available_protocols():
            raise ConfigurationError(f"fsspec knows no filesystem {protocol!r}")

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do, whatever the filesystem."""
        return Capabilities(stat=True, list_stats=True, survey=True)

    def __enter__(self) -> Self:
        """Open a block; sends nothing."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Leave the block; the connection stays open for the next one."""

    def _place(self) -> tuple[Any, str]:
        """Return the filesystem and the root's path; connect when that was not done yet."""
        with self._lock:
            if self._opened is None:
                try:
                    opened, root = fsspec.core.url_to_fs(
                        self._url,
                        skip_instance_cache=True,
                        use_listings_cache=False,
                        **self._options,
                    )
                except ImportError as error:
                    raise ConfigurationError(
                        f"{self.label} needs a package that is not there: {error.name}",
                        hint="Install it beside fsspec",
                    ) from error
                self._opened = (opened, str(root).rstrip("/"))
            return self._opened

    @contextmanager
    def _working(self, operation: str, name: str) -> Iterator[tuple[Any, str]]:
        """Yield the filesystem and the path of a name, and translate the errors of the block."""
        try:
            opened, root = self._place()
            yield opened, f"{root}/{name}" if name else root or "/"
        except (StorageError, ConfigurationError):
            raise
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self._missing(operation, name) from None
        except FileExistsError:
            raise self._error(AlreadyExistsError, "the name is taken", operation, name) from None
        except PermissionError as error:
            raise self._error(FileAccessError, "access denied", operation, name) from error
        except OSError as error:
            raise oserrors.translate(error, operation, name, self.label) from error
        except Exception as error:
            # Each filesystem has its own (paramiko.SSHException, smbprotocol's); the text may show
            # what was sent.
            reason = f"the connection failed ({type(error).__name__})"
            raise self._error(UnavailableError, reason, operation, name) from error

    def _error(
        self, kind: type[StorageError], reason: str, operation: str, name: str
    ) -> StorageError:
        return kind(reason, operation=operation, name=name, storage=self.label)

    def _missing(self, operation: str, name: str) -> StorageError:
        return self._error(NotFoundError, "there is no such file", operation, name)

    def open(self, name: str) -> IO[bytes]:
        """Return a readable, seekable binary stream; raise ``NotFoundError``."""
        self._info(name, "open")
        with self._working("open", name) as (files, path):
            return cast("IO[bytes]", files.open(path, "rb"))

    def save(self, name: str, content: IO[bytes]) -> str:
        """Store all that ``content`` yields, replacing what was there; return the name."""
        check_saved_name(name, storage=self.label)
        folder, slash, _ = name.rpartition("/")
        temporary = f"{folder}{slash}{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            self._write(temporary, name, content)
            with self._lock:
                self._refuse_folder(name, "save")
                self._replace(temporary, name)
        except BaseException:
            self._discard(temporary)
            raise
        return name

    def _write(self, temporary: str, name: str, content: IO[bytes]) -> None:
        with self._lock:
            self._refuse_file_above(name, "save")
            with self._working("save", name) as (files, _):
                files.makedirs(self._path(temporary).rpartition("/")[0] or "/", exist_ok=True)
            with self._working("save", name) as (files, _):
                stream = files.open(self._path(temporary), "wb")
        size = 0
        try:
            while data := content.read(CHUNK):
                size += len(data)
                with self._working("save", name):
                    stream.write(data)
        finally:
            with self._working("save", name):
                stream.close()
        arrived = self._info(temporary, "save")["size"]
        if arrived != size:
            reason = f"{arrived} of {size} bytes arrived"
            raise self._error(UnavailableError, reason, "save", name)

    def _replace(self, temporary: str, name: str) -> None:
        try:
            with self._working("save", name) as (files, path):
                _rename(files, self._path(temporary), path)
        except AlreadyExistsError:
            aside = f"{temporary}.old"
            with self._working("save", name) as (files, path):
                _rename(files, path, self._path(aside))
                try:
                    _rename(files, self._path(temporary), path)
                except BaseException:
                    _rename(files, self._path(aside), path)
                    raise
            self._discard(aside)

    def _discard(self, name: str) -> None:
        """Remove a temporary file, and folders that were made for it alone, if that can be."""
        with suppress(StorageError, OSError), self._lock:
            with self._working("save", name) as (files, path):
                files.rm_file(path)
            self._remove_emptied(name)

    def delete(self, name: str) -> None:
        """Remove the file and folders that it leaves empty; raise ``NotFoundError``."""
        with self._lock:
            self._info(name, "delete")
            with self._working("delete", name) as (files, path):
                files.rm_file(path)
            self._remove_emptied(name)

    def exists(self, name: str) -> bool:
        """Say whether there is a file (not a folder) of this name."""
        try:
            self._info(name, "exists")
        except NotFoundError:
            return False
        return True

    def move(self, old_name: str, new_name: str) -> None:
        """Rename; raise ``NotFoundError`` for the old name, ``AlreadyExistsError`` for the new."""
        check_name(old_name, storage=self.label, operation="move")
        check_name(new_name, storage=self.label, operation="move")
        check_text(new_name, operation="move", storage=self.label)
        with self._lock:
            self._info(old_name, "move")
            self._refuse_folder(new_name, "move")
            self._refuse_file_above(new_name, "move")
            if self.exists(new_name):
                raise self._error(AlreadyExistsError, "the name is taken", "move", new_name)
            with self._working("move", old_name) as (files, path):
                new_path = self._path(new_name)
                files.makedirs(new_path.rpartition("/")[0] or "/", exist_ok=True)
                _rename(files, path, new_path)
            self._remove_emptied(old_name)

    def list_files(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below a folder, sorted, folder by folder."""
        return (stat.name for stat in self.list_stats(prefix))

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """Yield every file below a folder."""
        found = self._walk(check_prefix(prefix, storage=self.label))
        return (item for item in found if isinstance(item, FileStat))

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """Yield every file at or below ``prefix`` and every obstacle (``SupportsSurvey``).

        Obstacles are names that are not UTF-8, those that are kept for unfinished files, and what
        is neither a file nor a folder.
        """
        name = check_prefix(prefix, storage=self.label)
        if name and self.exists(name):
            yield self.stat(name)
        else:
            yield from self._walk(name)

    def size(self, name: str) -> int:
        """Return the size in bytes; raise ``NotFoundError``."""
        return int(self._info(name, "size")["size"])

    def stat(self, name: str) -> FileStat:
        """Return size and time of one file; raise ``NotFoundError``."""
        return _stat(name, self._info(name, "stat"))

    def _path(self, name: str) -> str:
        return f"{self._place()[1]}/{name}"

    def _info(self, name: str, operation: str) -> Entry:
        """Return what is known of a file; raise ``NotFoundError``, also for a folder."""
        check_name(name, storage=self.label, operation=operation)
        if not is_utf8(name):
            raise self._missing(operation, name)
        with self._working(operation, name) as (files, path):
            entry: Entry = files.info(path)
        if entry["type"] != "file":
            raise self._missing(operation, name)
        return entry

    def _refuse_folder(self, name: str, operation: str) -> None:
        with self._working(operation, name) as (files, path):
            if files.isdir(path):
                reason = "there is a folder of this name"
                raise self._error(AlreadyExistsError, reason, operation, name)

    def _refuse_file_above(self, name: str, operation: str) -> None:
        for folder in parents(name):
            if self.exists(folder):
                reason = f"{folder!r} is a file, and no folder"
                raise self._error(InvalidNameError, reason, operation, name)

    def _remove_emptied(self, name: str) -> None:
        for folder in reversed(parents(name)):
            files, _ = self._place()
            path = self._path(folder)
            try:
                if files.ls(path, detail=False):
                    return
                files.rmdir(path)
            except OSError as error:
                if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, None}:
                    return  # somebody else was quicker
                raise oserrors.translate(error, "delete", folder, self.label) from error

    def _walk(self, folder: str) -> Iterator[FileStat | Obstacle]:
        for name, entry in self._children(folder):
            is_folder = entry["type"] == "directory"
            if not is_utf8(name):
                yield Obstacle(name, "the name is not UTF-8", below=is_folder)
            elif is_folder:
                yield from self._walk(name)
            elif is_temporary(name):
                yield Obstacle(name, RESERVED)
            elif entry["type"] != "file":
                yield Obstacle(name, f"no file, but {entry['type']}")
            else:
                yield _stat(name, entry)

    def _children(self, folder: str) -> list[tuple[str, Entry]]:
        """Return what is directly in a folder, in the order of the full names below it."""
        try:
            with self._working("list", folder) as (files, path):
                found: list[Entry] = files.ls(path, detail=True)
        except NotFoundError:
            return []
        before = f"{folder}/" if folder else ""
        own = self._path(folder).rstrip("/")
        named = [
            (before + entry["name"].rstrip("/").rpartition("/")[2], entry)
            for entry in found
            if entry["name"].rstrip("/") != own  # the listing of a file is the file itself
        ]
        return sorted(named, key=lambda one: one[0] + "/" * (one[1]["type"] == "directory"))


def _rename(files: Any, old_path: str, new_path: str) -> None:  # noqa: ANN401 (fsspec has no types)
    if type(files).mv is AbstractFileSystem.mv:
        # The general one takes '*' and '[' in names for patterns.
        files.cp_file(old_path, new_path)
        files.rm_file(old_path)
    else:
        files.mv(old_path, new_path)


def _stat(name: str, entry: Entry) -> FileStat:
    modified = entry.get("mtime") or entry.get("LastModified") or entry.get("modified")
    if isinstance(modified, dt.datetime):
        modified = modified.timestamp()
    size = int(entry["size"])
    if not isinstance(modified, int | float):
        return FileStat(name, size)
    return FileStat(name, size, int(modified * 1_000_000_000))
