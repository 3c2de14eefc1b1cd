"""The limits that the host has for inotify, and what to do about them (inotify(7))."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_SETTINGS = Path("/proc/sys/fs/inotify")
_PROCESSES = Path("/proc")
_MANY_WATCHES = 524_288
_MANY_INSTANCES = 1_024


class Watches(NamedTuple):
    """How many watches this user may have, and how many other programs of theirs are seen to."""

    allowed: int
    taken: int


def setting(name: str, default: int) -> int:
    """Return a limit of the kernel; the default where it does not tell."""
    try:
        return int((_SETTINGS / name).read_text())
    except (OSError, ValueError):
        return default


def watches() -> Watches | None:
    """Return how many watches there are; None where there is no inotify.

    What other containers have is not seen, nor other users' processes.
    """
    if not _SETTINGS.is_dir():
        return None
    return Watches(setting("max_user_watches", 8_192), _taken())


def more_watches() -> str:
    """Return the command that allows more."""
    now = setting("max_user_watches", 8_192)
    return f"sysctl fs.inotify.max_user_watches={max(_MANY_WATCHES, 2 * now)}"


def more_instances() -> str:
    """Return the command that allows more programs that watch."""
    now = setting("max_user_instances", 128)
    return f"sysctl fs.inotify.max_user_instances={max(_MANY_INSTANCES, 2 * now)}"


def _taken() -> int:
    """Count the watches of this user's other processes (proc_pid_fdinfo(5)), but for mirrors.

    A mirror that runs already has the watches that it needs.
    """
    count = 0
    for process in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if process.stat().st_uid == os.geteuid() and not _is_ours(process):
                count += sum(map(_watches_in, (process / "fdinfo").iterdir()))
    return count


def _is_ours(process: Path) -> bool:
    return b"paperfleet" in (process / "cmdline").read_bytes()


def _watches_in(descriptor: Path) -> int:
    with suppress(OSError):
        text = descriptor.read_bytes()
        return text.count(b"\ninotify wd:") + text.startswith(b"inotify wd:")
    return 0
