"""Documents in memory: for tests, and to try things out."""

from __future__ import annotations

import functools
import hashlib
import io
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Concatenate, Literal, ParamSpec, Self, TypeVar

from paperfleet.errors import InvalidNameError, PreconditionFailedError, StorageError
from paperfleet.model import (
    ANYTHING,
    BegunSave,
    Capabilities,
    FileStat,
    FolderListing,
    FolderStat,
    Obstacle,
    Precondition,
)
from paperfleet.storage.conditions import check_saved_name, check_text, require, require_content
from paperfleet.storage.hashing import HashingReader
from paperfleet.storage.memory.tree import File, MemoryTree, TreeFiles
from paperfleet.storage.names import RESERVED, check_name, check_prefix, is_below, is_temporary
from paperfleet.storage.oserrors import translated

_P = ParamSpec("_P")
_R = TypeVar("_R")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping, Sequence
    from types import TracebackType

    from paperfleet.model import BatchFile, Upload

    _Method = Callable[Concatenate["MemoryBackend", _P], _R]

EVERYTHING = Capabilities(
    stat=True,
    list_stats=True,
    survey=True,
    save_with=True,
    save_batch=True,
    save_in_two=True,
    conditional_delete=True,
    move_folder=True,
    folders=True,
    folder_etags=True,
    content_hash=True,
    sweep=True,
    keeps_modified=True,
)


def _ability(claim: str) -> Callable[[_Method[_P, _R]], _Method[_P, _R]]:
    """Make a method fail unless the claim is made: so tests find callers that do not ask."""

    def decorate(method: _Method[_P, _R]) -> _Method[_P, _R]:
        @functools.wraps(method)
        def checked(self: MemoryBackend, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            if not getattr(self.capabilities, claim):
                raise NotImplementedError(f"this storage does not claim {claim}")
            return method(self, *args, **kwargs)

        return checked

    return decorate


class MemoryBackend:
    """A storage that is gone with the process.

    ``capabilities`` makes it one that can do less: abilities that are not claimed raise
    ``NotImplementedError``. ``unicode_form`` and ``case_sensitive`` change how names compare.
    Operations outside of a block raise ``RuntimeError``.
    """

    def __init__(
        self,
        *,
        capabilities: Capabilities = EVERYTHING,
        unicode_form: Literal["NFC"] | None = None,
        case_sensitive: bool = True,
    ) -> None:
        self.label = "memory:"
        self.capabilities = replace(
            capabilities,
            unicode_form=unicode_form or capabilities.unicode_form,
            case_sensitive=case_sensitive and capabilities.case_sensitive,
        )
        self._tree = MemoryTree(self.capabilities)
        self._lock = threading.RLock()
        self._blocks = 0

    @property
    def files(self) -> MutableMapping[str, bytes]:
        """The files past the storage: reading and changing them is what somebody else does."""
        return TreeFiles(self._tree, self._lock)

    def __enter__(self) -> Self:
        """Open a block."""
        with self._lock:
            self._blocks += 1
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Leave a block."""
        with self._lock:
            self._blocks -= 1

    @contextmanager
    def _working(self, operation: str, name: str) -> Iterator[MemoryTree]:
        with self._lock, translated(operation, name, self.label):
            if not self._blocks:
                raise RuntimeError(f"{operation} outside of a 'with' block")
            yield self._tree

    def open(self, name: str) -> IO[bytes]:
        """Return a readable, seekable binary stream; raise ``NotFoundError``."""
        self._check("open", name)
        with self._working("open", name) as tree:
            return io.BytesIO(tree.file(name).content)

    def save(self, name: str, content: IO[bytes]) -> str:
        """Store all that ``content`` yields, replacing what was there; return the name used."""
        check_saved_name(name, storage=self.label)
        data = content.read()
        with self._working("save", name) as tree:
            return tree.write(name, data, time.time_ns()).name

    @_ability("save_with")
    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save with a time and a condition (``SupportsSaveWith``)."""
        check_saved_name(name, storage=self.label)
        with upload.open() as source:
            reader = HashingReader(source)
            data = reader.read()
        require_content(reader, upload, name=name, storage=self.label)
        with self._working("save", name) as tree:
            self._require(tree, name, expect, "save")
            return _stat(tree.write(name, data, self._time(upload.modified_ns)))

    def _time(self, modified_ns: int | None) -> int:
        kept = self.capabilities.keeps_modified and modified_ns is not None
        return modified_ns if kept and modified_ns is not None else time.time_ns()

    def _require(self, tree: MemoryTree, name: str, expect: Precondition, operation: str) -> None:
        found = _stat(file) if (file := tree.find(name)) else None
        require(found, expect, operation=operation, name=name, storage=self.label)

    @_ability("save_in_two")
    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> BegunSave:
        """Save; ``end_saves`` tells of it."""
        return BegunSave(self.save_with(name, upload, expect).name, upload.size)

    @_ability("save_in_two")
    def end_saves(self, begun: Sequence[BegunSave]) -> list[FileStat | StorageError]:
        """Return what is there now."""
        return [self.stat(one.name) for one in begun]

    @_ability("save_batch")
    def save_batch(self, files: Sequence[BatchFile]) -> list[FileStat | StorageError]:
        """Save many small files, each whole or not at all; parents must exist."""
        return [self._save_one(file) for file in files]

    def _save_one(self, file: BatchFile) -> FileStat | StorageError:
        try:
            check_saved_name(file.name, storage=self.label)
            with self._working("save", file.name) as tree:
                tree.folder(file.name.rpartition("/")[0])
                return _stat(tree.write(file.name, file.content, self._time(file.modified_ns)))
        except StorageError as error:
            return error

    def delete(self, name: str) -> None:
        """Remove the file; raise ``NotFoundError``."""
        self._delete(name, ANYTHING)

    @_ability("conditional_delete")
    def delete_if(self, name: str, etag: str) -> None:
        """Delete only the state with this etag; raise ``PreconditionFailedError`` otherwise."""
        self._delete(name, Precondition(etag=etag))

    def _delete(self, name: str, expect: Precondition) -> None:
        self._check("delete", name)
        with self._working("delete", name) as tree:
            tree.file(name)
            self._require(tree, name, expect, "delete")
            tree.remove(name)

    def exists(self, name: str) -> bool:
        """Say whether there is a file (not a folder) of this name."""
        self._check("exists", name)
        with self._working("exists", name) as tree:
            return tree.find(name) is not None

    def move(self, old_name: str, new_name: str) -> None:
        """Rename; raise ``NotFoundError`` for the old name, ``AlreadyExistsError`` for the new."""
        self._check("move", old_name)
        self._check("move", new_name)
        check_text(new_name, operation="move", storage=self.label)
        with self._working("move", old_name) as tree:
            tree.file(old_name)
            with translated("move", new_name, self.label):
                tree.rename(old_name, new_name)

    @_ability("move_folder")
    def move_folder(self, old_name: str, new_name: str, etag: str | None = None) -> None:
        """Rename a folder with all below it (``SupportsMoveFolder``)."""
        self._check("move", old_name)
        self._check("move", new_name)
        check_text(new_name, operation="move", storage=self.label)
        with self._working("move", old_name) as tree:
            folder = tree.folder(old_name)
            if etag is not None and etag != _etag(folder.version):
                raise PreconditionFailedError(
                    "it changed in between", operation="move", name=old_name, storage=self.label
                )
            if is_below(tree.real_name(new_name), folder.name):
                raise InvalidNameError(
                    "a folder cannot move into itself",
                    operation="move",
                    name=old_name,
                    storage=self.label,
                )
            with translated("move", new_name, self.label):
                tree.rename_folder(old_name, new_name)

    def list_files(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below a folder, sorted by code point."""
        return (file.name for file in self._files_below(prefix))

    @_ability("list_stats")
    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """Yield every file below a folder."""
        return (_stat(file) for file in self._files_below(prefix))

    @_ability("survey")
    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """Yield every file at or below ``prefix``; obstacles are names that are kept for us."""
        files = self._all_below(prefix)
        with self._working("list", prefix) as tree:
            single = tree.find(prefix) if prefix else None
        for file in [single] if single else files:
            yield Obstacle(file.name, RESERVED) if _is_hidden(file.name) else _stat(file)

    def _files_below(self, prefix: str) -> list[File]:
        return [file for file in self._all_below(prefix) if not _is_hidden(file.name)]

    def _all_below(self, prefix: str) -> list[File]:
        folder = check_prefix(prefix, storage=self.label)
        with self._working("list", prefix) as tree:
            return list(tree.files_below(folder))

    def size(self, name: str) -> int:
        """Return the size in bytes; raise ``NotFoundError``."""
        self._check("size", name)
        with self._working("size", name) as tree:
            return len(tree.file(name).content)

    @_ability("stat")
    def stat(self, name: str) -> FileStat:
        """Return size, time and etag of one file; raise ``NotFoundError``."""
        self._check("stat", name)
        with self._working("stat", name) as tree:
            return _stat(tree.file(name))

    @_ability("content_hash")
    def content_sha256(self, name: str) -> str:
        """Return the SHA-256 (hex) of the content."""
        self._check("hash", name)
        with self._working("hash", name) as tree:
            return hashlib.sha256(tree.file(name).content).hexdigest()

    @_ability("folders")
    def make_folder(self, name: str) -> None:
        """Make a folder and its missing parents; an existing one is fine."""
        self._check("make folder", name)
        check_text(name, operation="make folder", storage=self.label)
        with self._working("make folder", name) as tree:
            tree.make_folder(name)

    @_ability("folders")
    def remove_folder(self, name: str) -> bool:
        """Remove a folder if nothing at all is in it; say whether it is gone. Missing: True."""
        self._check("remove folder", name)
        with self._working("remove folder", name) as tree:
            return tree.remove_folder(name)

    @_ability("folder_etags")
    def folder_etag(self, name: str = "") -> str:
        """Return the etag of one folder; raise ``NotFoundError``."""
        folder = check_prefix(name, storage=self.label)
        with self._working("list", name) as tree:
            return _etag(tree.folder(folder).version)

    @_ability("folder_etags")
    def list_folder(self, name: str = "") -> FolderListing:
        """Return the direct children of one folder; raise ``NotFoundError``."""
        folder = check_prefix(name, storage=self.label)
        with self._working("list", name) as tree:
            files, folders = tree.children(folder)
            return FolderListing(
                _etag(tree.folder(folder).version),
                tuple(_stat(file) for file in files if not is_temporary(file.name)),
                tuple(
                    FolderStat(one.name, _etag(one.version))
                    for one in folders
                    if not is_temporary(one.name)
                ),
            )

    @_ability("folder_etags")
    def list_tree(self, name: str = "") -> Iterator[FileStat | FolderStat]:
        """Yield a folder itself and all below it; raise ``NotFoundError``."""
        listing = self.list_folder(name)
        yield FolderStat(name.rstrip("/"), listing.etag)
        yield from listing.files
        for folder in listing.folders:
            yield from self.list_tree(folder.name)

    @_ability("sweep")
    def sweep(self, older_than: float) -> int:  # noqa: ARG002 (no save is ever cut off here)
        """Return 0: nothing is ever left behind."""
        return 0

    def _check(self, operation: str, name: str) -> None:
        check_name(name, storage=self.label, operation=operation)


def _stat(file: File) -> FileStat:
    return FileStat(
        file.name, len(file.content), file.modified_ns, _etag(file.version), f"{file.number:x}"
    )


def _etag(version: int) -> str:
    return f"{version:x}"


def _is_hidden(name: str) -> bool:
    return any(is_temporary(segment) for segment in name.split("/"))
