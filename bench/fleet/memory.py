"""Memory of a program with all its processes."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")
_SESSION = 3  # of the fields after the name, which begin with the state (proc(5))


def proportional(session: int, proc: Path = PROC) -> int:
    """Return the bytes that the processes of a session hold, each page shared among its users.

    That is ``Pss`` of ``smaps_rollup`` (proc(5)); a process that ends meanwhile counts nothing.
    """
    return sum(_of_process(folder) for folder in _members(session, proc))


def _members(session: int, proc: Path) -> list[Path]:
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            told = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(told.rpartition(")")[2].split()[_SESSION]) == session:
            found.append(folder)
    return found


def _of_process(folder: Path) -> int:
    try:
        lines = (folder / "smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = (line.split()[1] for line in lines if line.startswith("Pss:"))
    return int(next(found, "0")) * 1024
