"""What the last drill found, in a file beside the place of the backup.

    {"paperfleet_drill": 1, "last": {"outcome": "green", "at": …}, "green": {…}}

``last`` is the newest drill, ``green`` the newest one that was. A drill writes ``unfinished`` when
it begins, so that one that was killed never looks like the one before it.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from paperfleet.errors import BackupError, ConfigurationError
from paperfleet.printable import readable_json
from paperfleet.private import replace_text
from paperfleet.running.words import duration_text
from paperfleet.settings.backup import folder_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE: Final = "drill.json"
GREEN: Final = "green"
RED: Final = "red"
UNFINISHED: Final = "unfinished"
NEVER: Final = (
    "no backup was ever drilled here, so nobody knows whether one restores: paperfleet backup drill"
)
_VERSION: Final = 1
_AHEAD_SECONDS: Final = 300.0
"""A clock may be so far ahead of the one that wrote a time."""


class Drill(NamedTuple):
    """One drill: ``at`` is Unix time of its end, or of its start while it is ``unfinished``.

    ``repository`` is a label without secrets, ``name`` that of the installation. ``as_of`` is ISO
    8601. ``documents`` were restored within ``restore_seconds``, tables and import with them;
    ``compared`` of them were looked at, chosen by ``seed``, with so many ``files``, ``pdfs`` that
    opened and ``searches`` that found what they should. ``seconds`` is what all of it took.
    ``reasons`` say why it is red.
    """

    outcome: str
    at: float
    repository: str
    name: str
    snapshot: str = ""
    as_of: str = ""
    paperless: str = ""
    documents: int = 0
    compared: int = 0
    files: int = 0
    pdfs: int = 0
    searches: int = 0
    seed: int = 0
    restore_seconds: float = 0.0
    seconds: float = 0.0
    reasons: tuple[str, ...] = ()

    @property
    def is_green(self) -> bool:
        """Whether the backup was restored, and all that was looked at is as it was."""
        return self.outcome == GREEN


class Published(NamedTuple):
    """The newest drill, and the newest green one; ``fault`` says why nobody knows."""

    last: Drill | None = None
    green: Drill | None = None
    fault: str = ""

    def of(self, repository: str, name: str) -> Published:
        """Return what concerns the backups of one installation in one repository."""
        last, green = (
            drill if drill and (drill.repository, drill.name) == (repository, name) else None
            for drill in (self.last, self.green)
        )
        return Published(last, green, self.fault)

    def age(self, now: float | None = None) -> float:
        """Return the seconds since the newest green drill; infinite where there was none."""
        if self.green is None:
            return math.inf
        return max(0.0, (time.time() if now is None else now) - self.green.at)


def read(folder: Path, now: float | None = None) -> Published:
    """Return what is published in the folder of the backup; a file that is damaged is a fault."""
    path = folder / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or told.get("paperfleet_drill") != _VERSION:
            return Published(fault=f"{path} is not one that this version reads")
        found = Published(_drill(told["last"]), _drill(told["green"]))
    except FileNotFoundError:
        return Published()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged"
        return Published(fault=f"{path} cannot be read: {reason}")
    latest = (time.time() if now is None else now) + _AHEAD_SECONDS
    if any(drill and drill.at > latest for drill in (found.last, found.green)):
        return Published(fault=f"the last drill by {path} is in the future: is the clock right?")
    return found


def here(environ: Mapping[str, str]) -> Published | None:
    """Return what is published on this host; None where it has no folder of a backup."""
    try:
        folder = folder_in(environ)
    except ConfigurationError:  # it has no home folder either, and so no backup
        return None
    return read(folder) if folder.is_dir() else None


def publish(folder: Path, drill: Drill) -> None:
    """Write down a drill that began or ended; raise ``BackupError``."""
    green = drill if drill.is_green else read(folder).green
    told = {
        "paperfleet_drill": _VERSION,
        "last": drill._asdict(),
        "green": green._asdict() if green else None,
    }
    try:
        replace_text(folder / FILE, readable_json(told, indent=2) + "\n")
    except OSError as error:
        raise BackupError(
            f"what the drill found cannot be written to {folder / FILE}: {error.strerror}",
            hint="Make room, or let the user of this process write there, and drill again",
        ) from None


def text(found: Published, now: float | None = None) -> str:
    """Say in one line how the last drill ended, and how old the last green one is."""
    if found.fault:
        return f"nobody knows how the last drill ended: {found.fault}"
    last, at = found.last, time.time() if now is None else now
    if last is None:
        return NEVER
    ago = f"{duration_text(max(0.0, at - last.at))} ago"
    if last.is_green:
        return f"the last drill was green, {ago}: {rto_text(last)}"
    before = "none was ever green"
    if found.green is not None:
        before = f"the last green one was {duration_text(found.age(at))} ago"
    if last.outcome == UNFINISHED:
        return f"the last drill began {ago} and has not ended; {before}"
    return f"THE LAST DRILL WAS RED, {ago}: {'; '.join(last.reasons)}; {before}"


def rto_text(drill: Drill) -> str:
    """Say which backup was restored, and how long that took."""
    taken = duration_text(drill.restore_seconds)
    which = f"backup {drill.snapshot[:8]}, as of {drill.as_of}"
    return f"{which}: {drill.documents:,} documents in {taken}"


def document(found: Published) -> dict[str, object]:
    """Return it for a program; ``age_seconds`` is None where no drill was ever green."""
    return {
        "last": found.last._asdict() if found.last else None,
        "green": found.green._asdict() if found.green else None,
        "age_seconds": None if found.green is None else found.age(),
        "fault": found.fault,
    }


def _drill(value: Mapping[str, Any] | None) -> Drill | None:
    if value is None:
        return None
    drill = Drill(**{**value, "reasons": tuple(map(str, value["reasons"]))})
    if drill.outcome not in (GREEN, RED, UNFINISHED) or not math.isfinite(drill.at):
        raise ValueError(drill.outcome)
    return drill
