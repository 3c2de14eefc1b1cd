"""Files that say which documents there are: only their owner can read them."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING

from paperfleet.filesystems import filesystem_type, flush_folder_at

if TYPE_CHECKING:
    from pathlib import Path

MODE = 0o600
FOLDER_MODE = 0o700
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
"""Where container engines put secrets, with rights that only the container sees."""


def make_folder(path: Path) -> None:
    """Make a folder for such files where it is missing; one that is there stays as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)


def open_text(path: Path, mode: str) -> IO[str]:
    """Open such a file as UTF-8 text; also one that was made with more rights loses them.

    ``mode`` is that of ``open``. Raises ``OSError``.
    """
    file = open(  # noqa: SIM115  # the opener gives it its rights; the caller closes it
        path, mode, encoding="utf-8", opener=lambda name, flags: os.open(name, flags, MODE)
    )
    found = os.fstat(file.fileno())
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
        os.fchmod(file.fileno(), MODE)
    return file


def replace_text(path: Path, text: str) -> None:
    """Write such a file: it is seen whole or not at all, also after a loss of power.

    One process at a time may write it. Raises ``OSError``.
    """
    temporary = path.with_suffix(".new")
    with open_text(temporary, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    flush_folder_at(path.parent)


def shared_text(path: Path) -> str:
    """Return what is wrong when every user of this machine can read a file with a secret; else ''.

    A file in memory (tmpfs) is a container engine's, and passes. So does one that is mounted by
    itself, as Compose mounts secrets: its folder on the host, which is not seen here, says who can
    reach it.
    """
    try:
        found = path.stat()
        is_mounted = found.st_dev != path.resolve().parent.stat().st_dev
    except OSError:
        return ""  # whoever reads it says so
    is_shared = found.st_mode & (stat.S_IROTH | stat.S_IWOTH)
    if not is_shared or is_mounted or filesystem_type(path) in _IN_MEMORY:
        return ""
    return f"{path} holds a secret, and every user of this machine can read it: chmod 600 {path}"
