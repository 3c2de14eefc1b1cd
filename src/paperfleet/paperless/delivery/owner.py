"""Which process holds a row, told so that another one on the same host can see that it is gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_SEPARATOR = "|"


def this_process() -> str:
    """Return the name of this process: host, boot, PID namespace, PID and when it started."""
    pid = os.getpid()
    return _SEPARATOR.join((socket.gethostname(), *_namespace(), str(pid), _started(pid)))


def is_gone(owner: str) -> bool:
    """Say whether a process is known to have ended; of one elsewhere nothing is known."""
    parts = owner.split(_SEPARATOR)
    if len(parts) != len(this_process().split(_SEPARATOR)):
        return False
    _, boot, namespace, pid, started = parts
    if (boot, namespace) != _namespace() or not boot or not pid.isdecimal():
        return False
    return _started(int(pid)) != started


def host_of(owner: str) -> str:
    """Return the name of a process's host, for people."""
    return owner.partition(_SEPARATOR)[0]


def _namespace() -> tuple[str, str]:
    """Return what two processes share when they see each other in ``/proc``."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:  # not Linux, or not to be read
        return "", ""


def _started(pid: int) -> str:
    """Return when a process started, in ticks (proc(5), field 22); empty for none, or a zombie."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = told.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
