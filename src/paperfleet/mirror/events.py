"""What the mirror tells the outside while it works: data, for a log, a progress bar, a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

Action = Literal[
    "created", "updated", "restored", "moved", "deleted", "adopted", "set aside", "let go"
]


@dataclass(frozen=True, slots=True)
class Started:
    """The mirror runs; ``watching`` says how it notices changes."""

    source: str
    target: str
    watching: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A scan of everything found work.

    ``sends`` files and ``bytes`` are new or changed (some may be at the target already, or moved),
    ``deletes`` are gone (some may be where others appeared).
    """

    first: bool
    sends: int
    bytes: int
    moves: int
    deletes: int
    adopted: int


@dataclass(frozen=True, slots=True)
class Done:
    """One operation took effect. ``count`` is the number of files in it (a folder's for a move)."""

    action: Action
    name: str
    new_name: str | None = None
    size: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Failed:
    """One file could not be brought over; ``next_try`` is Unix time, 0 for once it changes."""

    name: str
    reason: str
    hint: str
    next_try: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The guard holds operations back until ``paperfleet approve``."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    """No requests until ``until`` (Unix time)."""

    reason: str
    hint: str
    until: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """The target answers again."""


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything that can be done is done.

    Source and target are equal when ``failed`` (names in quarantine) and ``refused`` (names that
    wait for a person) are 0. ``proven`` is the number of files that are at the target.
    """

    first: bool
    seconds: float
    counts: dict[Action, int] = field(default_factory=dict)
    failed: int = 0
    refused: int = 0
    proven: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know."""

    text: str
    level: Literal["info", "warning", "error"] = "warning"


Event = Started | Planned | Done | Failed | Refused | Paused | Resumed | Synced | Notice


class Reporter(Protocol):
    """Takes events; called from the engine's thread only."""

    def __call__(self, event: Event) -> None:
        """Take one event; must not raise."""
        ...
