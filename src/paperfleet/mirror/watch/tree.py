"""Which folders of a tree inotify watches, and by which names they are known.

The kernel tells of a change by a number (the watch descriptor) that belongs to an inode, not to a
name. Whatever a name meant when its watch was made, the folder above it reports every later change
of that meaning; so names and numbers agree again as soon as ``renew`` has been called for every
name of which a change was reported. See inotify(7).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from inotify_simple import flags

from paperfleet.storage.names import is_below, is_temporary, parents, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from inotify_simple import INotify

MASK = int(
    flags.CREATE
    | flags.DELETE
    | flags.MODIFY
    | flags.CLOSE_WRITE
    | flags.ATTRIB
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
    | flags.EXCL_UNLINK
)
LIMITS = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say that the host allows no more watches or instances (inotify_add_watch(2))."""

_NOT_A_FOLDER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class WatchedFolder:
    """A watched folder under one of its names.

    ``writing`` holds the last segments of its files that somebody has open for writing, and when
    that was last said. ``partial`` says that something below it could not be watched.
    """

    __slots__ = ("above", "children", "name", "partial", "wd", "writing")

    def __init__(self, name: str, wd: int, above: WatchedFolder | None) -> None:
        self.name = name
        self.wd = wd
        self.above = above
        self.children: dict[str, WatchedFolder] = {}
        self.writing: dict[str, float] = {}
        self.partial = False

    def join(self, segment: str) -> str:
        """Return the name of something in this folder."""
        return f"{self.name}/{segment}" if self.name else segment

    @property
    def segment(self) -> str:
        """The last segment of the name."""
        return self.name.rpartition("/")[2]

    def walk(self) -> Iterator[WatchedFolder]:
        """Yield this folder and all below it."""
        todo = [self]
        while todo:
            folder = todo.pop()
            yield folder
            todo.extend(folder.children.values())


class WatchedTree:
    """Watches a folder and every folder below it.

    One inode may be known by several names (followed links, bind mounts). Every method raises
    ``OSError`` with an errno of ``LIMITS`` when the host allows no more watches; what else keeps a
    folder from being watched goes to ``on_notice``.
    """

    def __init__(
        self, inotify: INotify, root: str, *, follow_links: bool, on_notice: Callable[[str], None]
    ) -> None:
        self._inotify = inotify
        self._path = root
        self._real = Path(root).resolve()
        self._follow_links = follow_links
        self._on_notice = on_notice
        self._by_wd: dict[int, list[WatchedFolder]] = {}
        self._links: dict[str, str] = {}
        self.root = self._watch_all()

    def __len__(self) -> int:
        """Return the number of watches."""
        return len(self._by_wd)

    def at(self, wd: int) -> list[WatchedFolder]:
        """Return the folder of a watch under each of its names."""
        return list(self._by_wd.get(wd, ()))

    def path(self, name: str) -> str:
        """Return the path of a name."""
        return f"{self._path}/{name}" if name else self._path

    def folders(self) -> Iterator[WatchedFolder]:
        """Yield every watched folder under each of its names."""
        return self.root.walk()

    def renew(self, above: WatchedFolder, segment: str) -> list[str]:
        """Look again at what a name is: if a folder, it and all below it are watched afterwards.

        Return the names, relative to it, of files that were being written below the folder that
        had this name before.
        """
        old = above.children.pop(segment, None)
        if self._links:
            self._forget_links(above.join(segment))
        self._walk([(above, segment)])
        return self._drop(old) if old is not None else []

    def renew_link(self, above: WatchedFolder, segment: str) -> None:
        """Look again at a name that may be a followed link, or may have been one."""
        name = above.join(segment)
        if self._follow_links and (name in self._links or Path(self.path(name)).is_symlink()):
            self.renew(above, segment)

    def links_to(self, names: Container[str]) -> list[tuple[str, str]]:
        """Return the followed links, with the name that each leads to.

        Those that lead to one of ``names`` or to something below one.
        """
        return [
            (link, target)
            for link, target in self._links.items()
            if target in names or any(folder in names for folder in parents(target))
        ]

    def is_whole(self, above: WatchedFolder, segment: str) -> bool:
        """Say whether a name is that of a folder which is watched, and its folders too."""
        folder = above.children.get(segment)
        return folder is not None and not folder.partial

    def locate(self, name: str) -> tuple[WatchedFolder | None, str]:
        """Return the folder in which a name lies, None if it is not watched, and the rest."""
        *above, segment = name.split("/")
        folder: WatchedFolder | None = self.root
        for step in above:
            folder = folder.children.get(step) if folder is not None else None
        return folder, segment

    def forget(self, wd: int) -> None:
        """Take note that the kernel has removed a watch."""
        self._by_wd.pop(wd, None)

    def rebuild(self) -> None:
        """Watch all again, when what was reported is not known in full."""
        before = self._by_wd
        self._by_wd = {}
        self._links = {}
        self.root = self._watch_all()
        for wd in before.keys() - self._by_wd.keys():
            self._remove_watch(wd)

    def _watch_all(self) -> WatchedFolder:
        root = self._watched("", self._inotify.add_watch(self._path, MASK), None)
        self._walk([(root, segment) for segment in self._subfolders(root)])
        return root

    def _walk(self, todo: list[tuple[WatchedFolder, str]]) -> None:
        """Watch the given names, if they are folders, and all below them.

        A folder is watched before it is listed: what appears in it later is reported.
        """
        while todo:
            above, segment = todo.pop()
            folder = self._watch(above, segment)
            if folder is not None:
                above.children[segment] = folder
                todo.extend((folder, inner) for inner in self._subfolders(folder))

    def _watch(self, above: WatchedFolder, segment: str) -> WatchedFolder | None:
        name = above.join(segment)
        follow = self._follow_links and self._is_followed(name)
        try:
            wd = self._inotify.add_watch(
                self.path(name), MASK if follow else MASK | int(flags.DONT_FOLLOW)
            )
        except OSError as error:
            if error.errno in LIMITS:
                raise
            self._cannot_watch(above, name, error)
            return None
        if follow and _leads_back(above, wd):
            return None
        return self._watched(name, wd, above)

    def _watched(self, name: str, wd: int, above: WatchedFolder | None) -> WatchedFolder:
        folder = WatchedFolder(name, wd, above)
        self._by_wd.setdefault(wd, []).append(folder)
        return folder

    def _subfolders(self, folder: WatchedFolder) -> list[str]:
        try:
            with os.scandir(self.path(folder.name)) as entries:
                return [entry.name for entry in entries if self._may_be_folder(entry)]
        except OSError as error:
            self._cannot_watch(folder, folder.name, error)
            return []

    def _may_be_folder(self, entry: os.DirEntry[str]) -> bool:
        if is_temporary(entry.name):
            return False
        return entry.is_dir(follow_symlinks=False) or (self._follow_links and entry.is_symlink())

    def _cannot_watch(self, folder: WatchedFolder, name: str, error: OSError) -> None:
        """Say so, unless there is no such folder (any more): that is reported by itself."""
        if error.errno in _NOT_A_FOLDER:
            return
        folder.partial = True
        self._on_notice(
            f"cannot watch the folder {readable(name)!r} ({error.strerror}): changes in it are "
            "noticed by the next full scan"
        )

    def _is_followed(self, name: str) -> bool:
        """Say whether this is a link that leads into the tree, and remember where to."""
        path = Path(self.path(name))
        if not path.is_symlink():
            return False
        try:
            target = path.resolve()
        except (OSError, RuntimeError):  # a loop of links; before Python 3.13 a RuntimeError
            return False
        if not target.is_relative_to(self._real):
            return False
        self._links[name] = target.relative_to(self._real).as_posix()
        return True

    def _forget_links(self, name: str) -> None:
        for link in [link for link in self._links if link == name or is_below(link, name)]:
            del self._links[link]

    def _drop(self, old: WatchedFolder) -> list[str]:
        start = len(old.name) + 1
        writing = []
        for folder in old.walk():
            writing += [folder.join(segment)[start:] for segment in folder.writing]
            folder.writing = {}
            self._drop_name(folder)
        return writing

    def _drop_name(self, folder: WatchedFolder) -> None:
        names = self._by_wd.get(folder.wd)
        if names is None or folder not in names:
            return
        names.remove(folder)
        if not names:
            del self._by_wd[folder.wd]
            self._remove_watch(folder.wd)

    def _remove_watch(self, wd: int) -> None:
        try:
            self._inotify.rm_watch(wd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # the kernel removed it already, with its folder
                raise


def _leads_back(above: WatchedFolder, wd: int) -> bool:
    folder: WatchedFolder | None = above
    while folder is not None:
        if folder.wd == wd:
            return True
        folder = folder.above
    return False
