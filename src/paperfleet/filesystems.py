"""On what kind of filesystem a path lies: inotify and SQLite cannot be trusted on a network."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from contextlib import suppress
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = frozenset(
    {
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "davfs2",
        "fuse",  # no subtype: that is how davfs2 mounts
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "smbfs",
    }
)

_NETWORK_FUSE = frozenset(
    {
        "blobfuse",
        "blobfuse2",
        "ceph",
        "ceph-fuse",
        "curlftpfs",
        "davfs",
        "davfs2",
        "gcsfuse",
        "geesefs",
        "glusterfs",
        "goofys",
        "grpcfuse",
        "gvfsd-fuse",
        "juicefs",
        "mfs",
        "mount-s3",
        "mountpoint-s3",
        "onedriver",
        "osxfs",
        "rclone",
        "s3fs",
        "seaweedfs",
        "smbnetfs",
        "sshfs",
    }
)


_WITHOUT_FSYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
"""What network and FUSE filesystems say that have no fsync of folders: these are durable by
themselves, or not at all."""


def flush_folder(folder: int) -> None:
    """Make the entries of an open folder durable, where the filesystem knows how (fsync(2))."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _WITHOUT_FSYNC:
            raise


def flush_folder_at(path: Path) -> None:
    """Do so with a folder that is not open; raise ``OSError``."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flush_folder(folder)
    finally:
        os.close(folder)


def flush_filesystem_of(path: Path) -> None:
    """Make all durable that was written to the filesystem of a folder (syncfs(2)).

    Raises ``OSError`` where some of that could not be.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if call is None:
            os.sync()
        elif call(folder):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(folder)


def filesystem_type(path: Path) -> str:
    """Return the type of the filesystem on which ``path`` lies, such as ``ext4`` or ``nfs4``.

    A path that does not exist yet is judged by the nearest folder above it that does. The answer
    is '' where the kernel does not tell (no ``/proc``). Source: ``proc_pid_mountinfo(5)``.
    """
    try:
        text = os.fsdecode(_MOUNTS.read_bytes())
    except OSError:
        return ""
    return type_in_mountinfo(text, os.path.realpath(path))


def is_network(fstype: str) -> bool:
    """Say whether others than this kernel may change files on a filesystem of this type."""
    return fstype in _NETWORK or fstype.removeprefix("fuse.") in _NETWORK_FUSE


def type_in_mountinfo(text: str, path: str) -> str:
    """Return the type of the innermost mount in ``text`` that holds the absolute ``path``.

    Of two mounts at one place the later covers the earlier.
    """
    depth, fstype = 0, ""
    for line in text.splitlines():
        mount, _, filesystem = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 6 or not filesystem:  # six fields come before the dash
            continue
        point = _unescaped(fields[4])
        if len(point) >= depth and _holds(point, path):
            depth, fstype = len(point), filesystem.split(" ")[0]
    return fstype


def _unescaped(field: str) -> str:
    r"""Undo the octal escapes of mountinfo: ``\040`` is a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _holds(mount_point: str, path: str) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip("/") + "/")


def points_in_mountinfo(text: str, root: str) -> dict[str, str]:
    """Return what is mounted below the absolute ``root``: the path relative to it, and the source.

    Of two mounts at one place the later covers the earlier.
    """
    start = root.rstrip("/") + "/"
    found: dict[str, str] = {}
    for line in text.splitlines():
        mount, _, filesystem = line.partition(" - ")
        fields, rest = mount.split(" "), filesystem.split(" ")
        if len(fields) < 6 or len(rest) < 2:
            continue
        point = _unescaped(fields[4])
        if point.startswith(start) and point != start:
            found[point.removeprefix(start)] = rest[1]
    return found


def mounts_below(root: Path) -> list[tuple[str, str]]:
    """Return the number of each mount below ``root`` in the kernel's table, and its path."""
    text = os.fsdecode(_MOUNTS.read_bytes())
    start = os.path.realpath(root).rstrip("/") + "/"
    rows = [line.split(" ", 5) for line in text.splitlines()]
    return [(row[0], row[4]) for row in rows if _unescaped(row[4]).startswith(start)]


class FolderDisk:
    """What lies under a folder: its filesystem, and what is mounted below it."""

    changed = "the source lies on another filesystem than before"

    def __init__(self, root: Path) -> None:
        self._root = root

    def filesystem(self) -> str | None:
        """Return what tells this filesystem from another one, also after a restart; None: unknown.

        ``f_fsid`` comes from the UUID of ext4, XFS and Btrfs (statvfs(3)); device numbers do not
        last.
        """
        try:
            number = os.statvfs(self._root).f_fsid
        except OSError:
            return None
        return f"{number:x}" if number else None

    def mounts(self) -> dict[str, str]:
        """Return what is mounted below the root: by name, what tells it from something else.

        That is the filesystem and the inode at the mount point, so that two bind mounts of one
        disk are two. Empty where the kernel does not tell (no ``/proc``).
        """
        found = self._points()
        return {name: _identity(Path(self._root, name), source) for name, source in found.items()}

    def device(self, folder: str) -> str | None:
        """Return the device number (hex) of a folder, or of the nearest above it that is there.

        None when even the root is gone, and on overlayfs, where a file has the number of its layer
        (kernel: ``Documentation/filesystems/overlayfs.rst``, "st_dev").
        """
        path = Path(self._root, folder)
        for place in (path, *path.parents):
            with suppress(OSError):
                number = f"{place.stat().st_dev:x}"
                return None if filesystem_type(place) == "overlay" else number
            if place == self._root:
                break
        return None

    def _points(self) -> dict[str, str]:
        try:
            text = os.fsdecode(_MOUNTS.read_bytes())
        except OSError:
            return {}
        found = points_in_mountinfo(text, os.path.realpath(self._root))
        return {n: s for n, s in found.items() if n.encode(errors="replace").decode() == n}


def _identity(point: Path, source: str) -> str:
    try:
        number, found = os.statvfs(point).f_fsid, point.stat()
    except OSError:
        return "unreadable"
    inode = found.st_ino if point.is_dir() else 0  # of a file it changes with its content
    return f"{number:x}:{inode:x}" if number else f"{source}:{inode:x}"


def nearest(path: Path) -> Path:
    """Return a path that is there: itself, or the folder above in which the rest could be made."""
    return next(one for one in (path, *path.parents) if os.path.lexists(one))


def may_write_in(folder: Path) -> bool:
    """Say whether this process may make files in a folder."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
