"""The user's files in the Nextcloud double: bytes in a local folder, the rest in memory."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, Literal

from tests.servers.nextcloud_activity import Activity, happened, went
from tests.servers.nextcloud_errors import DavError, not_found
from tests.servers.nextcloud_locks import Locks
from tests.servers.nextcloud_names import LONGEST, check_new
from tests.servers.nextcloud_nodes import Ids, Node, Version, sub_path
from tests.servers.nextcloud_trash import Trash
from tests.trees import paths_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path


class Files:
    """The tree below /remote.php/dav/files/USER/.

    Bytes are at `root`; versions, trash and unfinished uploads beside it. Paths are NFC and
    relative. Every method may be called from many threads.
    """

    def __init__(self, base: Path, clock: Callable[[], float]) -> None:
        self.base, self.root, self.clock = base, base / "files", clock
        self.scratch, self._old = base / "tmp", base / "versions"
        for folder in (self.root, self.scratch, self._old):
            folder.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.ids, self.locks = Ids(), Locks(clock)
        self.trash = Trash(base / "trash")
        self.top = self._new_node("", folder=True)
        self.activity: list[Activity] = []
        self.quota: int | None = None
        self.keeps_versions = True
        self.actor = "You"
        self.cut_leaves: Literal["truncated", "mixed"] = "truncated"
        self.unreadable: set[str] = set()

    @property
    def now(self) -> int:
        """The server's time in whole seconds."""
        return int(self.clock())

    def find(self, path: str) -> Node | None:
        """Return the node at a path, None when there is none."""
        with self.lock:
            return self.top.below(path)

    def get(self, path: str) -> Node:
        """Return the node at a path; 404 when there is none."""
        node = self.find(path)
        if node is None:
            raise not_found(path)
        return node

    def folder_for(self, path: str, missing: int, file: int = 409) -> Node:
        """Return the folder of a new name, or refuse.

        With status `missing` when it is not there, `file` when a file is in its place.
        """
        parent = path.rpartition("/")[0]
        folder = self.find(parent)
        if folder is None:
            raise not_found(parent) if missing == 404 else DavError(missing, "Parent is missing")
        if not folder.folder:
            raise DavError(file, f"Node with name '{parent}' is not a collection")
        return folder

    def is_hidden(self, path: str) -> bool:
        """Say whether a path lies below a folder that the server cannot read."""
        return any(path.startswith(folder + "/") for folder in self.unreadable)

    def _check_hidden(self, path: str) -> None:
        if self.is_hidden(path):
            raise DavError(403, f"Could not create path {path!r}")

    def disk(self, path: str) -> Path:
        """Return where the bytes of a path are."""
        return self.root / path if path else self.root

    def free(self) -> int | None:
        """Bytes left of the quota, None when there is no quota."""
        with self.lock:
            return None if self.quota is None else max(0, self.quota - self.top.total())

    def check_quota(self, size: int) -> None:
        """Refuse with 507 what does not fit."""
        free = self.free()
        if free is not None and size > free:
            raise DavError(507, f"Insufficient space in /, {size} required, {free} available")

    def make_folder(self, path: str) -> Node:
        """MKCOL."""
        self._check_hidden(path)
        with self.lock:
            if self.find(path) is not None:
                raise DavError(405, "The resource you tried to create already exists")
            folder = self.folder_for(path, missing=409)
            check_new(path)
            if self.free() == 0:
                raise DavError(403, "No permission to create folder: quota exceeded")
            self.locks.check(path)
            self.disk(path).mkdir()
            return self._added(folder, path)

    def upload(
        self, path: str, blocks: Iterable[bytes], longest: int = LONGEST
    ) -> tuple[Node, bool]:
        """Store a body; the node, and whether it is new.

        A new file appears when its body is complete. An existing one is written in place: when the
        body breaks off the bytes are cut or mixed, while size, ETag and checksum stay as they were.
        """
        self._check_hidden(path)
        with self.locks.writing(path):
            node = self.find(path)
            if node is None:
                return self._create(path, blocks, longest), True
            if node.folder:
                raise DavError(409, "PUT is not allowed on non-files.")
            self._overwrite(node, blocks)
            return node, False

    def replace(self, path: str, whole: Path, longest: int) -> tuple[Node, bool]:
        """Store a complete file, which is moved there."""
        self._check_hidden(path)
        with self.locks.writing(path):
            node = self.find(path)
            if node is None:
                return self._place(path, whole, longest), True
            if node.folder:
                raise DavError(409, "PUT is not allowed on non-files.")
            self._keep_version(node)
            whole.replace(self.disk(path))
            self._written(node)
            return node, False

    def touch(self, node: Node, mtime: int) -> None:
        """Give a file its mtime."""
        with self.lock:
            os.utime(self.disk(node.path), (mtime, mtime))
            node.scanned(node.size, mtime)
            self._propagate(node.parent)

    def remove(self, path: str) -> None:
        """DELETE: into the trash, with id and versions."""
        with self.lock:
            node = self.get(path)
            self.locks.check(path, tree=True)
            folder = node.parent
            node.detach()
            self.trash.take(node, path, self.disk(path), self.now)
            self._propagate(folder)
            self._note(happened("deleted", path, self.actor))

    def restore(self, name: str) -> Node:
        """Bring an entry of the trash back to where it was, or to the root."""
        with self.lock:
            entry = self.trash.get(name)
            folder = self.find(entry.origin.rpartition("/")[0]) or self.top
            path = self._unused(sub_path(folder.path, entry.node.name))
            self.trash.give_back(name, self.disk(path))
            self._adopt(entry.node, folder, path)
            self._note(happened("restored", path, self.actor))
            return entry.node

    def move(self, old: str, new: str) -> None:
        """MOVE to a name that is free: id, ETag, mtime, checksum and versions stay."""
        busy = self.locks.writing(old, 500), self.locks.writing(new, 500)
        with busy[0], busy[1], self.lock:
            node, folder = self.get(old), self.folder_for(new, missing=409)
            check_new(new)
            self.disk(old).rename(self.disk(new))
            left = node.parent
            node.detach()
            self._adopt(node, folder, new)
            self._propagate(left)
            self._note(went(old, new, self.actor))

    def copy(self, old: str, new: str) -> Node:
        """COPY to a name that is free: new ids, no checksum, no versions."""
        with self.lock:
            node, folder = self.get(old), self.folder_for(new, missing=409)
            check_new(new)
            self.check_quota(node.total())
            for path in (old, new):
                self.locks.check(path, tree=True)
            _copy_bytes(self.disk(old), self.disk(new))
            return self._added(folder, new)

    def scan(self) -> None:
        """Take in what lies in `root` and is not known yet, like `occ files:scan`."""
        with self.lock:
            for entry in paths_below(self.root):
                path = entry.relative_to(self.root).as_posix()
                if self.find(path) is None:
                    self._take_in(self.get(path.rpartition("/")[0]), path)

    def _create(self, path: str, blocks: Iterable[bytes], longest: int) -> Node:
        self.folder_for(path, missing=404, file=404)
        check_new(path, longest)
        part = self.scratch / f"{self.ids.file()}.part"
        try:
            with part.open("wb") as sink:
                sink.writelines(blocks)
            return self._place(path, part, longest)
        finally:
            part.unlink(missing_ok=True)

    def _place(self, path: str, whole: Path, longest: int) -> Node:
        with self.lock:
            folder = self.folder_for(path, missing=404, file=404)
            check_new(path, longest)
            self.check_quota(whole.stat().st_size)
            whole.replace(self.disk(path))
            return self._added(folder, path)

    def _overwrite(self, node: Node, blocks: Iterable[bytes]) -> None:
        self._keep_version(node)
        mode = "wb" if self.cut_leaves == "truncated" else "r+b"
        with self.disk(node.path).open(mode) as sink:
            sink.writelines(blocks)
            sink.truncate()
        self._written(node)

    def _written(self, node: Node) -> None:
        with self.lock:
            node.scanned(self.disk(node.path).stat().st_size, self.now)
            node.uploaded = self.now
            self._propagate(node.parent)
            self._note(happened("changed", node.path, self.actor))

    def _keep_version(self, node: Node) -> None:
        if node.size == 0 or not self.keeps_versions:
            return
        with self.lock:
            kept = self._old / f"{node.id}.{len(node.versions)}.v{node.mtime}"
            shutil.copyfile(self.disk(node.path), kept)
            node.versions.append(Version(node.mtime, node.size, kept))

    def _added(self, folder: Node, path: str) -> Node:
        node = self._take_in(folder, path)
        self._propagate(folder)
        self._note(happened("created", path, self.actor))
        return node

    def _take_in(self, folder: Node, path: str) -> Node:
        """Make nodes for what lies on disk at a path."""
        disk = self.disk(path)
        node = self._new_node(disk.name, folder=disk.is_dir())
        folder.attach(node)
        if node.folder:
            for entry in sorted(disk.iterdir()):
                self._take_in(node, sub_path(path, entry.name))
        else:
            node.scanned(disk.stat().st_size, self.now)
        return node

    def _new_node(self, name: str, *, folder: bool) -> Node:
        etag = self.ids.folder_etag() if folder else ""
        return Node(self.ids.file(), name, None, folder, etag, mtime=self.now, uploaded=self.now)

    def _adopt(self, node: Node, folder: Node, path: str) -> None:
        node.name = path.rpartition("/")[2]
        folder.attach(node)
        self._propagate(folder)

    def _propagate(self, folder: Node | None) -> None:
        """Change the ETag of a folder and of all above it."""
        for node in folder.lineage() if folder else ():
            node.etag, node.mtime = self.ids.folder_etag(), self.now

    def _unused(self, path: str) -> str:
        while self.find(path) is not None:
            stem, dot, suffix = path.rpartition(".")
            path = f"{stem} (restored).{suffix}" if dot and stem else f"{path} (restored)"
        return path

    def _note(self, entry: Activity) -> None:
        self.activity.append(entry)


def _copy_bytes(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
