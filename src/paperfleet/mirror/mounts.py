"""Say of one file whether the disk on which it lay is still the one that is looked at. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paperfleet.storage.names import is_below, parents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.model import KnownFile


@dataclass(frozen=True, slots=True)
class Mounts:
    """What is mounted below a source.

    ``faults``: by mount point, what is not as it was; ``points``: where something is mounted now.
    ``renumbered``: the root's device number of before and of now, of one filesystem (numbers do
    not outlast a restart). ``device`` returns the device number of a folder, or of the nearest one
    above it that is there; None: unknown.
    """

    faults: Mapping[str, str] = field(default_factory=dict)
    points: frozenset[str] = frozenset()
    renumbered: tuple[str, str] | None = None
    device: Callable[[str], str | None] = lambda _folder: None


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the mount points that are not what they were, with a text for people."""
    return {
        point: _text(point, before.get(point, ""), now.get(point, ""))
        for point in sorted(before.keys() | now.keys())
        if before.get(point, "") != now.get(point, "")
    }


def _text(point: str, before: str, now: str) -> str:
    if not now:
        return f"{point!r} is not mounted any more"
    if not before:
        return f"something was mounted over {point!r}"
    return f"something else than before is mounted at {point!r}"


def doubt_of(known: KnownFile, mounts: Mounts) -> str:
    """Return why the file may be there although it is not seen, or as it was; '' for no reason."""
    for point, text in mounts.faults.items():
        if known.name == point or is_below(known.name, point):
            return text
    above = parents(known.name)
    if any(place in mounts.points for place in (*above, known.name)):
        return ""  # it is what it was, whatever its number is now
    was = (known.file_id or "").partition(":")
    now = mounts.device(above[-1] if above else "") if was[1] else None
    if now is None or now == was[0] or (was[0], now) == mounts.renumbered:
        return ""
    return f"the folder of {known.name!r} lies on another device than the file did"
