"""Notice a source that is not the one of before: an unmounted disk, another filesystem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from paperfleet.mirror.mounts import Mounts, differing, doubt_of
from paperfleet.storage.names import is_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.scan import Scan
    from paperfleet.model import KnownFile

_FILESYSTEM = "source_filesystem"
_DEVICE = "source_device"
_MOUNTS = "source_mounts"


class Disk(Protocol):
    """What lies under a source; ``changed`` says what it means that it is another than before."""

    changed: str

    def filesystem(self) -> str | None:
        """Return what tells the root's filesystem from another one; None: unknown."""
        ...

    def mounts(self) -> dict[str, str]:
        """Return what is mounted below the root: by name, what tells it from something else."""
        ...

    def device(self, folder: str) -> str | None:
        """Return the device number (hex) of a folder, or of the nearest above it that is there.

        '' is the root. None: unknown, or no help.
        """
        ...


class NoDisk:
    """A source that lies on no disk of this machine."""

    changed = ""

    def filesystem(self) -> str | None:
        """See ``Disk``."""
        return None

    def mounts(self) -> dict[str, str]:
        """See ``Disk``."""
        return {}

    def device(self, folder: str) -> str | None:  # noqa: ARG002  # there is none of any folder
        """See ``Disk``."""
        return None


class Accident:
    """What is wrong with the source: ``fault`` as a whole, '' when nothing is.

    ``mount_fault`` says which disk below it is not the one of before. What is missing or changed
    there is no change of the source: ``doubts`` says so of each name. ``unsettled`` asks for
    ``settle`` once all of the last scan is dealt with.
    """

    def __init__(self, journal: Journal, disk: Disk) -> None:
        self._journal, self._disk = journal, disk
        self._seen: dict[str, str] = {}
        self._missed: list[str] = []
        self.fault = ""
        self.unsettled = False

    def look(self) -> None:
        """Look at what is mounted, before the source is scanned.

        Where nothing of the journal lies, what is mounted is taken as it is.
        """
        now, before = self._disk.mounts(), self._before()
        if before is None:
            self._keep(now)
            return
        found = differing(before, now)
        taken = {p: now.get(p, "") for p in found if not self._journal.known_at([p])}
        if taken:
            self._keep(before | taken)
        # A disk that comes back in the middle of a scan is known by nothing but this.
        self._seen |= {p: text for p, text in found.items() if p not in taken}

    def judge(self, found: Scan) -> None:
        """Judge a scan of everything. Deletes wait for a person while there is a fault."""
        now, before = self._disk.filesystem(), self._journal.get_fact(_FILESYSTEM)
        self.fault = ""
        if not found.found and not found.obstacles and self._journal.count_known():
            self.fault = "the source is empty"
        elif found.vanished and now is not None and before not in {None, now}:
            self.fault = self._disk.changed
        self._missed = [known.name for known in found.vanished]
        self._missed += [obstacle.name for obstacle in found.obstacles]
        self.settle(stat.name for stat, known in found.changed if known)
        self.unsettled = bool(self.mount_fault)
        if not self.fault and now is not None:
            self._journal.set_fact(_FILESYSTEM, now)
            if not found.vanished:
                self._journal.set_fact(_DEVICE, self._disk.device(""))

    def approve(self, names: Iterable[str]) -> None:
        """Take the source as it is: a person has said that what these names lose is right."""
        now, approved = self._disk.mounts(), list(names)
        self.fault = ""
        self._journal.set_fact(_FILESYSTEM, self._disk.filesystem())
        self._accept(now, [p for p in self._open(now) if any(_at(n, p) for n in approved)])

    @property
    def mount_fault(self) -> str:
        """What is mounted otherwise than before, where files of the journal lie; '' for nothing."""
        return "; ".join(self._open(self._disk.mounts()).values())

    def doubts(self, rows: Iterable[KnownFile]) -> Mapping[str, str]:
        """Return, by name, why it cannot be believed that these files are gone or changed."""
        now = self._disk.mounts()
        mounts = Mounts(
            self._open(now),
            frozenset(now),
            renumbered=self._renumbered(),
            device=self._disk.device,
        )
        texts = ((row.name, doubt_of(row, mounts)) for row in rows)
        return {name: text for name, text in texts if text}

    def _open(self, now: Mapping[str, str]) -> dict[str, str]:
        before = self._before()
        return self._seen | (differing(before, now) if before is not None else {})

    def settle(self, waiting: Iterable[str]) -> None:
        """Take what is mounted as it is where the last scan of everything missed nothing.

        ``waiting``: names that it found otherwise than the journal has them, and still does.
        """
        now, names = self._disk.mounts(), [*self._missed, *waiting]
        self._accept(now, [p for p in self._open(now) if not any(_at(n, p) for n in names)])
        self.unsettled = False

    def _accept(self, now: Mapping[str, str], points: Iterable[str]) -> None:
        taken = {point: now.get(point, "") for point in points}
        if taken:
            self._keep((self._before() or {}) | taken)
            for point in taken:
                self._seen.pop(point, None)

    def _renumbered(self) -> tuple[str, str] | None:
        """Return the root's device number of before and of now, of one and the same filesystem."""
        before, now = self._journal.get_fact(_DEVICE), self._disk.device("")
        same = self._journal.get_fact(_FILESYSTEM) == self._disk.filesystem()
        return (before, now) if same and isinstance(before, str) and now else None

    def _before(self) -> dict[str, str] | None:
        return cast("dict[str, str] | None", self._journal.get_fact(_MOUNTS))

    def _keep(self, mounts: Mapping[str, str]) -> None:
        self._journal.set_fact(_MOUNTS, {point: one for point, one in mounts.items() if one})


def _at(name: str, point: str) -> bool:
    return name == point or is_below(name, point)
