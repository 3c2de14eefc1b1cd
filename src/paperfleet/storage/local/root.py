"""A folder on disk as a root that nothing leaves.

Every path is walked from the root one segment at a time with ``O_NOFOLLOW``, so that a symbolic
link which appears in the middle of an operation cannot lead it out either (openat(2)).
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import InvalidNameError
from paperfleet.filesystems import flush_folder
from paperfleet.storage.names import TEMPORARY_PREFIX
from paperfleet.storage.oserrors import translate, translate_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer


def tells_case_apart(root: LocalRoot, *, may_write: bool) -> bool:
    """Say whether names in the root differ by case; raise ``OSError`` if it cannot be read.

    Looks at what is there first; only an empty folder is written to, and left empty.
    """
    folder = root.open()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.swapcase() != entry.name and entry.name.isascii():
                    return not _is_same(folder, entry.name, entry.name.swapcase())
        return _probe(folder) if may_write else True
    finally:
        os.close(folder)


def _probe(folder: int) -> bool:
    name = SAVING_PREFIX + secrets.token_hex(8)
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder))
    try:
        return not _is_same(folder, name, name.upper())
    finally:
        os.unlink(name, dir_fd=folder)


def _is_same(folder: int, name: str, other: str) -> bool:
    one, two = look(folder, name), look(folder, other)
    return one is not None and two is not None and os.path.samestat(one, two)


SAVING_PREFIX = TEMPORARY_PREFIX + "save-"
"""Only names that begin so are swept: other temporary names may be documents in a move."""

_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC
SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | _FOLDER
"""Open a folder to reach what is in it; needs no right to list it."""
LIST = os.O_RDONLY | _FOLDER
"""Open a folder to list it, or to make changes in it durable."""

TRIES = 20
"""How often to begin again when folders are made and removed by others at the same time."""


class LocalPlace(NamedTuple):
    """An open folder and the last segment of a name in it."""

    folder: int
    last: str


class LocalRoot:
    """The folder that holds a storage."""

    def __init__(self, path: Path, label: str, *, follow_links: bool) -> None:
        self.path = path
        self.label = label
        self.follow_links = follow_links

    def open(self, flags: int = LIST) -> int:
        """Return a descriptor of the root; raise ``NotAStorageError`` when it is gone."""
        try:
            return os.open(self.path, flags)
        except OSError as error:
            raise translate_root(error, self.label) from error

    def resolve(self, name: str) -> str:
        """Return the name without symbolic links; raise ``InvalidNameError`` if it leads out."""
        base = os.path.realpath(self.path)
        real = os.path.realpath(Path(base, name))
        if real == base:
            return ""
        inside = base.rstrip("/") + "/"
        if not real.startswith(inside):
            raise self._leads_out(name)
        return real.removeprefix(inside)

    def real_folder(self, name: str) -> str:
        """Return the folder that ``name`` means: with its links resolved where they are followed.

        Links that are not followed are found when the path is walked.
        """
        return self.resolve(name) if self.follow_links and name else name

    def open_folder(self, name: str, flags: int = LIST, *, create: bool = False) -> int:
        """Return a descriptor of a folder; with ``create`` its missing parts are made, durably.

        Raises ``InvalidNameError`` when a symbolic link is in the way, else ``OSError``.
        """
        real = self.real_folder(name)
        current = self.open(LIST if create else flags)
        for segment in real.split("/"):
            if not segment:
                continue
            try:
                inner = self._step(current, segment, flags, name, create=create)
            finally:
                os.close(current)
            current = inner
        return current

    def _step(self, current: int, segment: str, flags: int, name: str, *, create: bool) -> int:
        for _ in range(TRIES):
            try:
                return os.open(segment, flags | os.O_NOFOLLOW, dir_fd=current)
            except FileNotFoundError:
                if not create:
                    raise
            except OSError as error:
                if error.errno in {errno.ENOTDIR, errno.ELOOP} and is_link(current, segment):
                    raise self._leads_out(name) from error
                if create and error.errno == errno.ENOTDIR:
                    raise FileExistsError(errno.EEXIST, f"{segment!r} is a file") from error
                raise
            _make_folder(current, segment)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def place(self, name: str, flags: int = SEARCH) -> OpenedPlace:
        """Open the folder of a name that is looked at or taken away; it is closed afterwards."""
        return OpenedPlace(self, name, flags)

    @contextmanager
    def new_place(self, name: str) -> Iterator[LocalPlace]:
        """Open the folder of a name that is about to be made, with its missing parents.

        Raises ``FileExistsError`` when a parent is a file.
        """
        folder, _, last = name.rpartition("/")
        descriptor = self.open_folder(folder, LIST, create=True)
        try:
            yield LocalPlace(descriptor, last)
        finally:
            os.close(descriptor)

    def refuse_link(self, place: LocalPlace, name: str) -> None:
        """Raise ``InvalidNameError`` if the name itself is a link that must not be touched."""
        if is_link(place.folder, place.last):
            if not self.follow_links:
                raise self._leads_out(name)
            self.resolve(name)

    def _leads_out(self, name: str) -> InvalidNameError:
        reason = (
            "a symbolic link in it leads out of the storage"
            if self.follow_links
            else "there is a symbolic link in it, and links are not followed"
        )
        return InvalidNameError(reason, operation="resolve", name=name, storage=self.label)


class OpenedPlace:
    """A block in which the folder of a name is open."""

    def __init__(self, root: LocalRoot, name: str, flags: int) -> None:
        self._root, self._name, self._flags = root, name, flags

    def __enter__(self) -> LocalPlace:
        folder, _, last = self._name.rpartition("/")
        self._descriptor = self._root.open_folder(folder, self._flags)
        return LocalPlace(self._descriptor, last)

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._descriptor)


def is_link(folder: int, last: str) -> bool:
    """Say whether an entry of an open folder is a symbolic link."""
    found = look(folder, last)
    return found is not None and stat.S_ISLNK(found.st_mode)


def look(folder: int, last: str) -> os.stat_result | None:
    """Return what is known of an entry of an open folder, links not followed; None: not there."""
    try:
        return os.stat(last, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _make_folder(parent: int, last: str) -> None:
    try:
        os.mkdir(last, dir_fd=parent)
    except FileExistsError:
        return
    flush_folder(parent)


def is_empty(folder: int) -> bool:
    """Say whether nothing at all is in an open folder."""
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def open_file(root: LocalRoot, name: str) -> tuple[int, os.stat_result]:
    """Return a descriptor of a regular file for reading, and its stat; never waits for a pipe.

    Raises ``FileNotFoundError`` for anything that is not a regular file.
    """
    real = root.real_folder(name)
    with root.place(real) as place:
        _checked(root, place, name)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(place.last, flags, dir_fd=place.folder)
    try:
        return descriptor, _regular(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise


def stat_file(root: LocalRoot, name: str) -> os.stat_result:
    """Return the stat of a regular file; raise ``FileNotFoundError`` for anything else."""
    with root.place(root.real_folder(name)) as place:
        return _checked(root, place, name)


def _checked(root: LocalRoot, place: LocalPlace, name: str) -> os.stat_result:
    """Return the stat of a regular file; raise for a link, and ``FileNotFoundError`` otherwise."""
    found = os.stat(place.last, dir_fd=place.folder, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        root.refuse_link(place, name)
    return _regular(found)


def _regular(found: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return found


class TranslatedFile(io.FileIO):
    """A file that is read, whose errors are ours."""

    def __init__(self, descriptor: int, name: str, storage: str) -> None:
        super().__init__(descriptor, "r")
        self._about = ("read", name, storage)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into a buffer; return how many bytes, 0 at the end."""
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise translate(error, *self._about) from error

    def readall(self) -> bytes:
        """Return all that is left."""
        try:
            return super().readall()
        except OSError as error:
            raise translate(error, *self._about) from error
