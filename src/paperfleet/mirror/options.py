"""What the engine is told; plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from paperfleet.mirror.planning.guard import Limits

if TYPE_CHECKING:
    from paperfleet.mirror.proof import Verify


@dataclass(frozen=True, slots=True)
class Options:
    """How the mirror works; times in seconds."""

    settle: float = 0.1
    open_settle: float = 5.0
    scan_interval: float = 3600.0
    target_check: float = 60.0
    adopt: Literal["checksum", "mtime"] = "checksum"
    set_aside: bool = True
    connections: int = 8
    pause: float = 1.0
    bulk: bool = True
    verify: Verify = "sample"
    limits: Limits = field(default_factory=Limits)
