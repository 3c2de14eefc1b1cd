"""What ``paperfleet_check`` found. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from paperfleet.storage.names import readable


class Kind(enum.Enum):
    """What is wrong with a file."""

    MISSING = "missing"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    ORPHANED = "orphaned"
    UNCOMMITTED = "not committed"
    OBSTACLE = "no file"
    ASIDE = "aside"
    KEPT = "kept"
    LEFT_BEHIND = "left on the local disk"


MEANINGS = {
    Kind.MISSING: "the database names it, and it is nowhere",
    Kind.DAMAGED: "its bytes are not those that the database knows",
    Kind.UNREADABLE: "it could not be read",
    Kind.ORPHANED: "no document has it",
    Kind.UNCOMMITTED: "a task of a fleet wrote it and ended before its document was committed; the"
    " scheduler removes it",
    Kind.OBSTACLE: "it is there, and cannot be read as a file: no listing shows it, none moves it",
    Kind.ASIDE: "kept for a transaction that was cut off",
    Kind.KEPT: "made way for a migration or a repair; nothing to do",
    Kind.LEFT_BEHIND: "in paperless-ngx's own folder, and not in the storage",
}
BROKEN = (Kind.MISSING, Kind.DAMAGED, Kind.UNREADABLE)
HARMLESS = (Kind.KEPT, Kind.UNCOMMITTED)


class Finding(NamedTuple):
    """One file that is not as it should be.

    ``name`` is relative to the area. ``row`` and ``checksum`` are what the database says, where a
    row is concerned. ``stored`` is the name of a copy (aside, kept) in the whole storage.
    """

    kind: Kind
    area: str
    name: str
    row: int | None = None
    checksum: str = ""
    reason: str = ""
    stored: str = ""
    size: int = 0

    @property
    def place(self) -> str:
        """The name in the whole storage."""
        return self.stored or f"{self.area}/{self.name}"

    def as_data(self) -> dict[str, Any]:
        """Return it for JSON; names as they are."""
        data: dict[str, Any] = {"name": self.place, "area": self.area}
        if self.row is not None:
            data["document" if self.area != "share_link_bundles" else "bundle"] = self.row
        optional = {"checksum": self.checksum, "reason": self.reason, "size": self.size}
        return data | {key: value for key, value in optional.items() if value}


class Repair(NamedTuple):
    """One thing that was mended, or could not be (``failed`` says why)."""

    finding: Finding
    what: str
    failed: str = ""


@dataclass
class Report:
    """A check, and what was repaired after it."""

    storage: str = ""
    """What the place with the documents is called for people."""
    files: int = 0
    size: int = 0
    quick: bool = False
    read: int = 0
    """Files whose bytes were read and compared with the checksum of the database."""
    vouched: int = 0
    """Files of which the store's own checksum was compared, and no byte was read."""
    refused: list[str] = field(default_factory=list)
    """What readers were cut off from and this check has not found to be right."""
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)

    def of(self, *kinds: Kind) -> list[Finding]:
        """Return the findings of some kinds that are not repaired."""
        mended = {repair.finding for repair in self.repairs if not repair.failed}
        return [one for one in self.findings if one.kind in kinds and one not in mended]

    @property
    def agrees(self) -> bool:
        """Whether database and storage agree, as far as the check looked."""
        wrong = [kind for kind in Kind if kind not in HARMLESS]
        return not self.faults and not self.refused and not self.of(*wrong)

    @property
    def looked(self) -> str:
        """What was compared, for people."""
        if self.quick:
            return "names compared, contents not read"
        named = self.files - self.read - self.vouched
        parts = (
            (self.read, "compared by their bytes"),
            (self.vouched, "compared by the checksums that the store tells, their bytes not read"),
            (named, "by their names alone"),
        )
        told = [f"{count:,} {how}" for count, how in parts if count]
        return ", ".join(told) or "nothing to compare"

    def as_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "agrees": self.agrees,
            "storage": self.storage,
            "quick": self.quick,
            "read": self.read,
            "vouched": self.vouched,
            "refused": self.refused,
            "notes": self.notes,
            "files": self.files,
            "bytes": self.size,
            "faults": self.faults,
            **{
                kind.name.lower(): [finding.as_data() for finding in self.of(kind)] for kind in Kind
            },
            "repairs": [
                {"name": one.finding.place, "what": one.what, "failed": one.failed}
                for one in self.repairs
            ],
        }

    def table(self) -> str:
        """Return it for people: a line for each kind, then each file."""
        if self.agrees and not self.findings:
            return ""
        lines = []
        for kind in Kind:
            found = self.of(kind)
            if not found:
                continue
            lines.append(f"{kind.value}: {len(found):,} ({MEANINGS[kind]})")
            for one in found:
                row = f" [{one.row}]" if one.row is not None else ""
                reason = f": {one.reason}" if one.reason else ""
                lines.append(f"  {readable(one.place)}{row}{readable(reason)}")
        return "\n".join(lines)
