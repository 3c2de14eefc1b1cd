"""What a role's process tells its probes: a small file that names the process and its state."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final, NamedTuple

STARTING: Final = "starting"
STANDING_BY: Final = "standing by"
WORKING: Final = "working"
STOPPING: Final = "stopping"


class RoleState(NamedTuple):
    """Process number, when it started (in ticks, proc(5)), and what it does."""

    process: int
    started: str
    state: str


def tell(file: Path, state: str) -> None:
    """Write the state of this process, whole or not at all; raise ``OSError``."""
    own = RoleState(os.getpid(), _started(os.getpid()), state)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{own.process}")
    fresh.write_text(json.dumps(own), encoding="utf-8")
    fresh.replace(file)


def told(file: Path) -> RoleState | None:
    """Return what was told by a process that still runs; None without one."""
    try:
        found = RoleState(*json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.started and found.started == _started(found.process) else None


def _started(process: int) -> str:
    """Return the start of a process that runs (field 22 of proc(5)'s stat); '' without one."""
    try:
        text = Path("/proc", str(process), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
