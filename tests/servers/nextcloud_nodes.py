"""Files and folders of the Nextcloud double: ids, ETags, versions, as the file cache keeps them."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSTANCE = "ocdouble0000"


@dataclass
class Version:
    """An earlier content of a file, kept when it was overwritten."""

    mtime: int
    size: int
    file: Path


@dataclass(eq=False)
class Node:
    """A file or folder. `size` is what PROPFIND shows, which after a cut overwrite is not true."""

    id: int
    name: str
    parent: Node | None
    folder: bool
    etag: str
    mtime: int
    size: int = 0
    checksum: str = ""
    children: dict[str, Node] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    uploaded: int = 0

    @property
    def path(self) -> str:
        """Path below the root, "" for the root itself."""
        return "/".join(node.name for node in reversed(list(self.lineage())) if node.parent)

    @property
    def long_id(self) -> str:
        """The id as in `OC-FileId` and `oc:id`."""
        return f"{self.id:08d}{INSTANCE}"

    @property
    def permissions(self) -> str:
        """What the owner may do, in Nextcloud's letters."""
        return "RGDNVCK" if self.folder else "RGDNVW"

    def lineage(self) -> Iterator[Node]:
        """Yield this node, its folder, and so on up to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, folders before their content."""
        yield self
        for child in list(self.children.values()):
            yield from child.walk()

    def total(self) -> int:
        """Size of a file, or of all files below a folder."""
        return self.size if not self.folder else sum(c.total() for c in self.children.values())

    def attach(self, child: Node) -> None:
        """Put `child` into this folder under its name."""
        child.parent = self
        self.children[child.name] = child

    def detach(self) -> None:
        """Take this node out of its folder."""
        assert self.parent is not None
        del self.parent.children[self.name]
        self.parent = None

    def below(self, path: str) -> Node | None:
        """Return the node at a path below this one."""
        node: Node | None = self
        for name in path.split("/") if path else ():
            node = node.children.get(name) if node else None
        return node

    def scanned(self, size: int, mtime: int) -> None:
        """Take over size and mtime of written bytes.

        The ETag stays when the mtime (whole seconds) does, whatever the bytes; else it comes from
        mtime, inode and size (`Scanner::scanFile` with REUSE_ETAG, `Local::calculateEtag`).
        """
        if mtime != self.mtime or not self.etag:
            self.etag = hashlib.md5(f"{mtime}{self.id}{size}".encode()).hexdigest()  # noqa: S324
        if (size, mtime) != (self.size, self.mtime):
            self.checksum = ""
        self.size, self.mtime = size, mtime


class Ids:
    """Numbers for files and random-looking ETags for folders, never the same twice."""

    def __init__(self) -> None:
        self._files = itertools.count(101)
        self._etags = itertools.count(time.time_ns() // 1000)
        self._lock = threading.Lock()

    def file(self) -> int:
        """Return a new file id."""
        with self._lock:
            return next(self._files)

    def folder_etag(self) -> str:
        """Return a new ETag in the form of PHP's `uniqid`."""
        with self._lock:
            return f"{next(self._etags):013x}"


def sub_path(folder: str, name: str) -> str:
    """Join a folder's path, "" for the root, and a name."""
    return f"{folder}/{name}" if folder else name
