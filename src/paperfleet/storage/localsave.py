"""Saving into a folder on disk, whole or not at all, under a condition."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from paperfleet.errors import IntegrityError
from paperfleet.storage import conditions
from paperfleet.storage.durable import Unfinished
from paperfleet.storage.hashing import CHUNK
from paperfleet.storage.localfs import flush_folder, look
from paperfleet.storage.localtree import file_stat
from paperfleet.storage.oserrors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.model import FileStat, Precondition
    from paperfleet.storage.localfs import Place, Root


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Saver:
    """Writes new files in two steps: ``filled``, then ``commit`` inside its block.

    Whoever compares a state and changes it holds ``changes``.
    """

    def __init__(self, root: Root) -> None:
        self.changes = threading.Lock()
        self._root = root

    @contextmanager
    def filled(self, name: str, content: _Readable) -> Iterator[Unfinished]:
        """Write the content beside its place; without a commit in the block it goes away.

        What the content raises passes as it is.
        """
        with translated("save", name, self._root.label):
            new = Unfinished(self._root, name)
        try:
            while data := content.read(CHUNK):
                with translated("save", name, self._root.label):
                    new.write(data)
            yield new
        finally:
            with translated("save", name, self._root.label):
                new.discard()

    def commit(
        self, new: Unfinished, name: str, expect: Precondition, modified_ns: int | None
    ) -> FileStat:
        """Put the file in its place, durably, if the condition holds; return what is there now."""
        with translated("save", name, self._root.label):
            length = new.finish(modified_ns)
            if length != new.count:
                raise IntegrityError(
                    f"{length} bytes of {new.count} are on the disk",
                    operation="save",
                    name=name,
                    storage=self._root.label,
                )
            with self.changes:
                self.require(new.place, name, expect)
                new.commit(replace=expect.exists is not False)
            flush_folder(new.place.folder)
            found = os.stat(new.place.last, dir_fd=new.place.folder, follow_symlinks=False)
            return file_stat(name, found)

    def require_early(self, name: str, expect: Precondition) -> None:
        """Check before a byte is read: a condition that fails now will hardly hold later."""
        # Without the folder there is no file yet; the commit checks again.
        gone = suppress(FileNotFoundError, NotADirectoryError)
        with translated("save", name, self._root.label), gone, self._root.place(name) as place:
            self.require(place, name, expect)

    def require(
        self, place: Place, name: str, expect: Precondition, operation: str = "save"
    ) -> None:
        """Raise ``AlreadyExistsError`` or ``PreconditionFailedError`` unless it holds."""
        found = look(place.folder, place.last)
        known = None if found is None else file_stat(name, found)
        conditions.require(known, expect, operation=operation, name=name, storage=self._root.label)
