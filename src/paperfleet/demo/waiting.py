"""Wait until the target is as it should be, and measure how long that took."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from paperfleet.errors import PaperfleetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOK_SECONDS = 0.002


class DemoError(PaperfleetError):
    """The demonstration did not go as it should."""


def seconds_until(there: Callable[[], bool], seconds: float, what: str) -> float:
    """Return after how many seconds ``there`` was true; raise ``DemoError`` after ``seconds``."""
    start = time.perf_counter()
    while not there():
        if time.perf_counter() - start > seconds:
            raise DemoError(f"{what} did not arrive at the target within {seconds:g} s")
        time.sleep(LOOK_SECONDS)
    return time.perf_counter() - start


def content(path: Path) -> bytes | None:
    """Return the bytes of a file, None when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def tree(root: Path) -> dict[str, bytes]:
    """Return every file below ``root`` by name."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
