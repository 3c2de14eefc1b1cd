"""Files and folders in memory, with etags that travel up to the root. Not locked."""

from __future__ import annotations

import errno
import os
import time
import unicodedata
from collections.abc import MutableMapping
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from paperfleet.storage.names import collision_key, is_below, parents

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from paperfleet.model import Capabilities


class File(NamedTuple):
    """One file. ``number`` survives a rename, ``version`` does not survive a write."""

    name: str
    content: bytes
    modified_ns: int
    number: int
    version: int


class MemoryFolder(NamedTuple):
    """One folder; ``version`` changes with anything below it."""

    name: str
    version: int


class MemoryTree:
    """A tree whose names compare as ``capabilities`` say.

    Raises ``FileNotFoundError`` and ``FileExistsError``. Where the capabilities know no folders,
    a folder is gone with its last file.
    """

    def __init__(self, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._numbers = count(1)
        self._files: dict[str, File] = {}
        self._folders: dict[str, MemoryFolder] = {"": MemoryFolder("", next(self._numbers))}

    def names(self) -> list[str]:
        """Return the names of all files, sorted by code point."""
        return sorted(file.name for file in self._files.values())

    def files_below(self, folder: str) -> list[File]:
        """Return the files below a folder at any depth, sorted by name."""
        top = self.real_name(folder)
        found = (file for file in self._files.values() if is_below(file.name, top))
        return sorted(found, key=lambda file: file.name)

    def find(self, name: str) -> File | None:
        """Return the file of this name."""
        return self._files.get(self._key(name))

    def file(self, name: str) -> File:
        """Return the file of this name; raise ``FileNotFoundError``."""
        return self.find(name) or _missing()

    def folder(self, name: str) -> MemoryFolder:
        """Return the folder of this name; raise ``FileNotFoundError``."""
        return self._folders.get(self._key(name)) or _missing()

    def children(self, folder: str) -> tuple[list[File], list[MemoryFolder]]:
        """Return what is directly in a folder, sorted by name."""
        top = self.folder(folder).name
        files = [file for file in self.files_below(top) if _parent(file.name) == top]
        folders = [one for one in self._folders.values() if one.name and _parent(one.name) == top]
        return files, sorted(folders, key=lambda one: one.name)

    def real_name(self, name: str) -> str:
        """Return the name in the form and case in which it is, or would be, stored."""
        built = ""
        for segment in self._normal(name).split("/"):
            wanted = f"{built}/{segment}" if built else segment
            known = self._folders.get(self._key(wanted)) or self._files.get(self._key(wanted))
            built = known.name if known else wanted
        return built

    def write(self, name: str, content: bytes, modified_ns: int) -> File:
        """Make or replace a file, with its parents."""
        self._refuse_folder(name)
        self.make_parents(name)
        old = self.find(name)
        number = old.number if old else next(self._numbers)
        real = self.real_name(name)
        file = File(real, content, modified_ns, number, next(self._numbers))
        self._files[self._key(real)] = file
        self._touch(real)
        return file

    def remove(self, name: str) -> None:
        """Remove a file."""
        file = self.file(name)
        del self._files[self._key(name)]
        self._touch(file.name)
        self._prune(file.name)

    def rename(self, old: str, new: str) -> None:
        """Rename a file to a name that is free."""
        file = self.file(old)
        self.require_free(new)
        self.make_parents(new)
        del self._files[self._key(old)]
        self._put_file(file, self.real_name(new))
        self._touch(file.name)
        self._prune(file.name)

    def rename_folder(self, old: str, new: str) -> None:
        """Rename a folder with all below it to a name that is free and not below it."""
        top = self.folder(old).name
        self.require_free(new)
        self.make_parents(new)
        real = self.real_name(new)
        files = self.files_below(top)
        folders = [one for one in self._folders.values() if one.name == top or _in(one.name, top)]
        for folder in folders:
            del self._folders[self._key(folder.name)]
        for file in files:
            del self._files[self._key(file.name)]
        for folder in folders:
            name = real + folder.name[len(top) :]
            self._folders[self._key(name)] = MemoryFolder(name, folder.version)
        for file in files:
            self._put_file(file, real + file.name[len(top) :])
        self._touch(real)
        self._touch(top)
        self._prune(top)

    def make_folder(self, name: str) -> None:
        """Make a folder and its parents; one that is there is fine."""
        self.make_parents(f"{name}/")

    def make_parents(self, name: str) -> None:
        """Make the folders above a name; raise ``FileExistsError`` if one of them is a file."""
        above = parents(name)
        if any(self.find(folder) for folder in above):
            _taken()
        for folder in above:
            if self._key(folder) not in self._folders:
                real = self.real_name(folder)
                self._folders[self._key(real)] = MemoryFolder(real, next(self._numbers))
                self._touch(real)

    def remove_folder(self, name: str) -> bool:
        """Remove a folder if it is empty; say whether there is none now."""
        known = self._folders.get(self._key(name))
        if known is None:
            return True
        if any(self.children(name)):
            return False
        del self._folders[self._key(name)]
        self._touch(known.name)
        return True

    def require_free(self, name: str) -> None:
        """Raise ``FileExistsError`` if there is a file or folder of this name."""
        if self.find(name):
            _taken()
        self._refuse_folder(name)

    def _refuse_folder(self, name: str) -> None:
        if self._key(name) in self._folders:
            _taken()

    def _put_file(self, file: File, name: str) -> None:
        moved = File(name, file.content, file.modified_ns, file.number, file.version)
        self._files[self._key(name)] = moved
        self._touch(name)

    def _touch(self, name: str) -> None:
        for above in ("", *parents(name)):
            key = self._key(above)
            if folder := self._folders.get(key):
                self._folders[key] = MemoryFolder(folder.name, next(self._numbers))

    def _prune(self, name: str) -> None:
        if not self._capabilities.folders:
            for folder in reversed(parents(name)):
                self.remove_folder(folder)

    def _normal(self, name: str) -> str:
        form = self._capabilities.unicode_form
        return unicodedata.normalize(form, name) if form else name

    def _key(self, name: str) -> str:
        return collision_key(name, self._capabilities)


class TreeFiles(MutableMapping[str, bytes]):
    """The files of a tree by name, as somebody else sees and changes them."""

    def __init__(self, tree: MemoryTree, lock: threading.RLock) -> None:
        self._tree = tree
        self._lock = lock

    def __getitem__(self, name: str) -> bytes:
        with self._lock:
            file = self._tree.find(name)
        if file is None:
            raise KeyError(name)
        return file.content

    def __setitem__(self, name: str, content: bytes) -> None:
        with self._lock:
            self._tree.write(name, content, time.time_ns())

    def __delitem__(self, name: str) -> None:
        with self._lock:
            if self._tree.find(name) is None:
                raise KeyError(name)
            self._tree.remove(name)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(self._tree.names())

    def __len__(self) -> int:
        with self._lock:
            return len(self._tree.names())

    def __repr__(self) -> str:
        return repr(dict(self))


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _in(name: str, folder: str) -> bool:
    return name.startswith(folder + "/")


def _missing() -> NoReturn:
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _taken() -> NoReturn:
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
