"""Changes in a folder on disk that survive a kill and a loss of power.

The order is the known one: a temporary file in the same folder, its bytes, fsync, rename, fsync of
the folder (fsync(2), rename(2)).
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from paperfleet.errors import IntegrityError
from paperfleet.filesystems import flush_folder
from paperfleet.storage import conditions
from paperfleet.storage.hashing import CHUNK
from paperfleet.storage.local.root import LIST, SAVING_PREFIX, TRIES, LocalPlace, look
from paperfleet.storage.local.tree import file_stat
from paperfleet.storage.oserrors import translated
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from paperfleet.model import FileStat, Precondition
    from paperfleet.storage.local.root import LocalRoot


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class LocalSaver:
    """Writes new files in two steps: ``filled``, then ``commit`` inside its block.

    Whoever compares a state and changes it holds ``changes``.
    """

    def __init__(self, root: LocalRoot) -> None:
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
        self, place: LocalPlace, name: str, expect: Precondition, operation: str = "save"
    ) -> None:
        """Raise ``AlreadyExistsError`` or ``PreconditionFailedError`` unless it holds."""
        found = look(place.folder, place.last)
        known = None if found is None else file_stat(name, found)
        conditions.require(known, expect, operation=operation, name=name, storage=self._root.label)


class Unfinished:
    """A new file under a temporary name in the folder of its own, until ``commit``.

    ``discard`` must be called in any case; without a commit the temporary file goes away.
    """

    def __init__(self, root: LocalRoot, name: str) -> None:
        for _ in range(TRIES):
            # Somebody may remove the empty folder between its making and the first file in it.
            with suppress(FileNotFoundError):
                self._begin(root, name)
                return
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def _begin(self, root: LocalRoot, name: str) -> None:
        folder, _, last = name.rpartition("/")
        self.place = LocalPlace(root.open_folder(folder, LIST, create=True), last)
        self.count = 0
        self._temporary = SAVING_PREFIX + secrets.token_hex(8)
        self._pending = True
        IN_USE.add(self._temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            root.refuse_link(self.place, name)
            self._file = os.open(self._temporary, flags, 0o666, dir_fd=self.place.folder)
        except BaseException:
            IN_USE.remove(self._temporary)
            os.close(self.place.folder)
            raise

    def write(self, data: bytes) -> None:
        """Append all of ``data``."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self.count += len(data)

    def finish(self, modified_ns: int | None) -> int:
        """Set the time, make the bytes durable, and return the length that the system reports."""
        length = os.fstat(self._file).st_size
        if modified_ns is not None:
            os.utime(self._file, ns=(modified_ns, modified_ns))
        os.fsync(self._file)
        self._close()
        return length

    def commit(self, *, replace: bool) -> None:
        """Put the file in its place; ``FileExistsError`` without ``replace`` if that is taken."""
        here = LocalPlace(self.place.folder, self._temporary)
        if replace:
            os.rename(here.last, self.place.last, src_dir_fd=here.folder, dst_dir_fd=here.folder)
        else:
            rename_new(here, self.place)
        self._pending = False

    def discard(self) -> None:
        """Take the temporary file away unless it was committed, and close what is open."""
        try:
            self._close()
            if self._pending:
                os.unlink(self._temporary, dir_fd=self.place.folder)
        finally:
            IN_USE.remove(self._temporary)
            os.close(self.place.folder)

    def _close(self) -> None:
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)


_RENAME_NOREPLACE = 1
_NO_SUCH_CALL = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
_NO_HARD_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


def rename_new(old: LocalPlace, new: LocalPlace) -> None:
    """Rename a file or folder; raise ``FileExistsError`` if the new name is taken.

    By renameat2(2) with ``RENAME_NOREPLACE`` where kernel and filesystem have it: at once, whoever
    else is at work. NFS has it not. There a file gets its second name by link(2), which never
    overwrites, before it loses the first; what another process saves under the old name in between
    is lost. Where hard links are refused, too, the new name is looked up before rename(2), which
    loses what another process makes there in between. The caller keeps the threads of this process
    apart. A folder never replaces anything that has content.
    """
    if _rename_noreplace(old, new):
        return
    found = os.stat(old.last, dir_fd=old.folder, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode) and _link(old, new):
        _unlink_old(old, new)
        return
    if look(new.folder, new.last) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    os.rename(old.last, new.last, src_dir_fd=old.folder, dst_dir_fd=new.folder)


def _unlink_old(old: LocalPlace, new: LocalPlace) -> None:
    flush_folder(new.folder)
    try:
        os.unlink(old.last, dir_fd=old.folder)
    except FileNotFoundError:
        # Another process was faster: the file is where that one moved it, or deleted.
        os.unlink(new.last, dir_fd=new.folder)
        raise


def _rename_noreplace(old: LocalPlace, new: LocalPlace) -> bool:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    names = os.fsencode(old.last), os.fsencode(new.last)
    if call(old.folder, names[0], new.folder, names[1], ctypes.c_uint(_RENAME_NOREPLACE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_SUCH_CALL:
        return False
    raise OSError(number, os.strerror(number))


def _link(old: LocalPlace, new: LocalPlace) -> bool:
    try:
        os.link(
            old.last,
            new.last,
            src_dir_fd=old.folder,
            dst_dir_fd=new.folder,
            follow_symlinks=False,
        )
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            return False
        raise
    return True


def link_open(descriptor: int, new: LocalPlace) -> bool:
    """Give an open file one more name; say whether it can have one there.

    Not where a folder gives new files its group or rights of its own, which this one would lack.
    """
    if os.fstat(new.folder).st_mode & stat.S_ISGID or _has_default_rights(new.folder):
        return False
    try:
        os.link(f"/proc/self/fd/{descriptor}", new.last, dst_dir_fd=new.folder)
    except OSError as error:
        # Without /proc there is no such file.
        if error.errno in _NO_HARD_LINKS | {errno.EXDEV, errno.ENOENT}:
            return False
        raise
    return True


def _has_default_rights(folder: int) -> bool:
    """Say whether new files in an open folder get rights from it (acl(5))."""
    try:
        return bool(os.getxattr(folder, "system.posix_acl_default"))
    except OSError:  # none, or a filesystem that has no such thing
        return False


def make_path(path: Path) -> None:
    """Make a folder and its missing parents, durably."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        descriptor = os.open(folder.parent, LIST)
        try:
            flush_folder(descriptor)
        finally:
            os.close(descriptor)


def remove_if_empty(root: LocalRoot, name: str) -> bool:
    """Remove a folder if nothing at all is in it; say whether there is none now."""
    try:
        with root.place(name, LIST) as place:
            os.rmdir(place.last, dir_fd=place.folder)
            flush_folder(place.folder)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return False
        raise
    return True


def remove_emptied(root: LocalRoot, folder: str) -> None:
    """Remove an empty folder and its parents as far as that empties them, never the root.

    Raises ``OSError`` at the first one that stays.
    """
    while folder:
        with root.place(folder) as place:
            os.rmdir(place.last, dir_fd=place.folder)
        folder = folder.rpartition("/")[0]
