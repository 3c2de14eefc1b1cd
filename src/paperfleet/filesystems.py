"""On what kind of filesystem a path lies: inotify and SQLite cannot be trusted on a network."""

from __future__ import annotations

import os
import re
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
