"""Walking a folder on disk: every file in it, and everything that is not one."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from paperfleet.errors import FileAccessError, InvalidNameError, StorageError
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.local.root import SAVING_PREFIX, SEARCH, LocalRoot
from paperfleet.storage.names import RESERVED, TEMPORARY_PREFIX, is_utf8
from paperfleet.storage.oserrors import reason_of, translate_root
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from collections.abc import Iterator

    Found = Iterator[FileStat | Obstacle]

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
_GONE = {errno.ENOENT, errno.ENOTDIR}


class Unreadable(Obstacle):
    """An obstacle that hides files which are there."""

    __slots__ = ()


class _Folder(NamedTuple):
    """A folder that is still to be listed.

    ``real`` is its name without links, ``above`` the real names of it and of all folders through
    which the walk came to it, by which a loop is known.
    """

    name: str
    real: str
    above: frozenset[str]


_ROOT = _Folder("", "", frozenset({""}))


def file_stat(name: str, found: os.stat_result) -> FileStat:
    """Return our form of the system's stat.

    The etag is the time of the last change of the inode, which no program can set (stat(2)).
    """
    return FileStat(
        name,
        found.st_size,
        found.st_mtime_ns,
        f"{found.st_ctime_ns:x}",
        f"{found.st_dev:x}:{found.st_ino:x}",
    )


def survey(root: LocalRoot, prefix: str = "") -> Found:
    """Yield every file at or below ``prefix`` and every obstacle, in any order.

    Raises ``NotAStorageError`` when the root is gone, also when it goes in the middle.
    """
    waiting: list[_Folder] = []
    yield from _start(root, prefix, waiting)
    while waiting:
        yield from _list(root, waiting.pop(), waiting)


def list_stats(root: LocalRoot, prefix: str = "") -> Iterator[FileStat]:
    """Yield every file below a folder, in any order; raise ``FileAccessError`` for a hidden one."""
    for item in survey(root, prefix):
        if _is_shown(item, root) and item.name != prefix:
            yield item


def list_names(root: LocalRoot, prefix: str = "") -> Iterator[str]:
    """Yield the names of all files below a folder, sorted by code point, a folder at a time."""
    start: list[_Folder] = []
    for item in _start(root, prefix, start):
        _is_shown(item, root)
    waiting: list[_Folder | FileStat] = [*start]
    while waiting:
        last = waiting.pop()
        if isinstance(last, FileStat):
            yield last.name
        else:
            waiting.extend(_sorted_children(root, last))


def _sorted_children(root: LocalRoot, folder: _Folder) -> list[_Folder | FileStat]:
    """Return what is in a folder, the last name first."""
    folders: list[_Folder] = []
    children: list[_Folder | FileStat] = []
    children += (item for item in _list(root, folder, folders) if _is_shown(item, root))
    children += folders
    return sorted(children, key=_order, reverse=True)


def _order(item: _Folder | FileStat) -> str:
    # The names below a folder 'a' begin with 'a/', which comes after 'a.txt' and before 'a0'.
    return item.name if isinstance(item, FileStat) else item.name + "/"


def _is_shown(item: FileStat | Obstacle, root: LocalRoot) -> TypeGuard[FileStat]:
    if isinstance(item, Unreadable):
        raise FileAccessError(item.reason, operation="list", name=item.name, storage=root.label)
    return isinstance(item, FileStat)


def sweep(root: LocalRoot, older_than: float) -> int:
    """Remove the temporary files of saves that nothing has touched for so many seconds.

    Those that this process is writing stay.
    """
    os.close(root.open(SEARCH))
    count = 0
    for _, _, files, folder in os.fwalk(root.path, follow_symlinks=False):
        for last in files:
            # Its save may end, or another sweep take it, at this moment.
            with suppress(FileNotFoundError):
                ours = last.startswith(SAVING_PREFIX) and last not in IN_USE
                if ours and _age(folder, last) > older_than:
                    os.unlink(last, dir_fd=folder)
                    count += 1
    return count


def _age(folder: int, last: str) -> float:
    """Return the seconds since the inode changed: a save may have set the time of the content."""
    return time.time() - os.stat(last, dir_fd=folder, follow_symlinks=False).st_ctime


def _start(root: LocalRoot, prefix: str, waiting: list[_Folder]) -> Found:
    """Walk down to the prefix as a survey of the whole would, so that both say the same of it."""
    os.close(root.open(SEARCH))
    folder = _ROOT
    segments = prefix.split("/") if prefix else []
    for depth, segment in enumerate(segments, 1):
        if segment.startswith(TEMPORARY_PREFIX):
            yield Obstacle("/".join(segments[:depth]), RESERVED, below=True)
            return
        inner: list[_Folder] = []
        for item in _look(root, folder, segment, inner):
            # A file in the middle of the prefix has nothing below it.
            if depth == len(segments) or isinstance(item, Obstacle):
                yield item
        if not inner:
            return
        folder = inner[0]
    waiting.append(folder)


def _look(root: LocalRoot, folder: _Folder, last: str, inner: list[_Folder]) -> Found:
    name = _join(folder.name, last)
    try:
        with root.place(_join(folder.real, last)) as place:
            found = os.stat(place.last, dir_fd=place.folder, follow_symlinks=False)
    except StorageError:
        raise
    except OSError as error:
        yield from _unreadable(root, name, error)
        return
    yield from _entry(root, folder, last, found, inner)


def _list(root: LocalRoot, folder: _Folder, waiting: list[_Folder]) -> Found:
    """Yield the files of one folder; its folders are appended to ``waiting``."""
    try:
        descriptor = root.open_folder(folder.real)
    except InvalidNameError as error:  # a link took its place this moment
        yield Obstacle(folder.name, error.reason, below=True)
        return
    except StorageError:
        raise
    except OSError as error:
        yield from _unreadable(root, folder.name, error)
        return
    try:
        yield from _entries(root, folder, descriptor, waiting)
    finally:
        os.close(descriptor)


def _entries(root: LocalRoot, folder: _Folder, descriptor: int, waiting: list[_Folder]) -> Found:
    start = f"{folder.name}/" if folder.name else ""
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                last = entry.name
                if last.startswith(TEMPORARY_PREFIX):
                    yield Obstacle(start + last, RESERVED, below=entry.is_dir())
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError as error:
                    yield from _unreadable(root, start + last, error)
                    continue
                # Nearly every entry goes this way; one more generator would cost it dearly.
                if found.st_mode & 0o170000 == stat.S_IFREG and last.isascii():
                    yield file_stat(start + last, found)
                else:
                    yield from _entry(root, folder, last, found, waiting)
    except StorageError:
        raise
    except OSError as error:
        yield from _unreadable(root, folder.name, error)


def _entry(
    root: LocalRoot, folder: _Folder, last: str, found: os.stat_result, waiting: list[_Folder]
) -> Found:
    name = _join(folder.name, last)
    kind = stat.S_IFMT(found.st_mode)
    if not is_utf8(last):
        yield Obstacle(name, "the name is not UTF-8", below=kind == stat.S_IFDIR)
    elif kind == stat.S_IFREG:
        yield file_stat(name, found)
    elif kind == stat.S_IFDIR:
        yield from _enter(folder, name, _join(folder.real, last), waiting)
    elif kind == stat.S_IFLNK:
        yield from _link(root, folder, last, waiting)
    else:
        yield Obstacle(name, f"{_KINDS.get(kind, 'something')}, not a file", left_out=True)


def _enter(folder: _Folder, name: str, real: str, waiting: list[_Folder]) -> Iterator[Obstacle]:
    if real in folder.above:
        yield Obstacle(name, "symbolic links lead from this folder back to it", left_out=True)
    else:
        waiting.append(_Folder(name, real, folder.above | {real}))


def _link(root: LocalRoot, folder: _Folder, last: str, waiting: list[_Folder]) -> Found:
    """Tell what a symbolic link is; follow it where that is wanted.

    What may have been a folder, on a disk that is away now, is told with ``below``.
    """
    name = _join(folder.name, last)
    try:
        real = root.resolve(_join(folder.real, last))
        found = _stat_real(root, real)
    except InvalidNameError:
        reason = "a symbolic link that leads out of the folder"
        yield Obstacle(name, reason, below=True, left_out=not root.follow_links)
    except StorageError:
        raise
    except OSError as error:
        reason = f"a symbolic link: {reason_of(error)}"
        yield Obstacle(name, reason, below=True, left_out=not root.follow_links)
    else:
        if not root.follow_links:
            yield Obstacle(name, "a symbolic link, and links are not followed", left_out=True)
        elif stat.S_ISDIR(found.st_mode):
            yield from _enter(folder, name, real, waiting)
        elif stat.S_ISREG(found.st_mode):
            yield file_stat(name, found)
        else:
            yield Obstacle(name, "a symbolic link to something that is not a file", left_out=True)


def _stat_real(root: LocalRoot, real: str) -> os.stat_result:
    if not real:
        return root.path.stat()
    with root.place(real) as place:
        found = os.stat(place.last, dir_fd=place.folder, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return found


def _unreadable(root: LocalRoot, name: str, error: OSError) -> Iterator[Obstacle]:
    if not name:
        raise translate_root(error, root.label) from error
    if error.errno not in _GONE:
        yield Unreadable(name, reason_of(error), below=True, left_out=_is_systems_own(name))


def _is_systems_own(name: str) -> bool:
    """Say whether this is the folder that ext4 makes for fsck, readable by root alone."""
    return name.rpartition("/")[2] == "lost+found"


def _join(folder: str, last: str) -> str:
    return f"{folder}/{last}" if folder else last
