"""How many processors a container may use (cgroups(7))."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def limit(root: Path = Path("/")) -> float | None:
    """Return the limit in processors that a cgroup sets; None without one.

    The kernel's ``cpu.max`` (version 2) or ``cpu.cfs_quota_us`` (version 1) of this process's
    group and those above it: the lowest counts. A limit above the machine's processors is none.
    ``root`` is where ``/proc`` and ``/sys`` are.
    """
    found = [quota for group in _groups(root) if (quota := _quota(group)) is not None]
    lowest = min(found, default=None)
    return lowest if lowest is not None and lowest < (os.cpu_count() or 1) else None


def _groups(root: Path) -> list[Path]:
    """Return the folders of this process's group and of those above it."""
    text = ""
    with contextlib.suppress(OSError):
        text = (root / "proc/self/cgroup").read_text(encoding="utf-8")
    found = []
    for line in text.splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        hierarchies = (controllers, "cpu") if controllers else ("", "unified")
        for hierarchy in hierarchies:
            mount = root / "sys/fs/cgroup" / hierarchy
            # In a container the path may be the host's, and is not there: the mount itself counts.
            own = mount / group.lstrip("/")
            found += [own, *(path for path in own.parents if path.is_relative_to(mount))]
    return found


def _quota(group: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        number = int((group / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = (group / "cpu.cfs_period_us").read_text(encoding="ascii")
        return None if number <= 0 else number / int(period)
    return None
