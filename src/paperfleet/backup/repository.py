"""What a backup asks of the repository that keeps it: ``Restic``, or ``PlainStore``."""

from __future__ import annotations

from datetime import datetime
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path


class Snapshot(NamedTuple):
    """One backup as the repository has it: ``time`` is ISO 8601, ``tags`` what ``run`` gave it."""

    number: str
    time: str
    host: str
    tags: tuple[str, ...]
    paths: tuple[str, ...]

    @property
    def moment(self) -> datetime:
        """Its time; the zone of a snapshot is that of the machine which made it."""
        return datetime.fromisoformat(self.time)

    @property
    def short(self) -> str:
        """The start of its number, as it is shown."""
        return self.number[:8]


class BackupProgress(NamedTuple):
    """How far a backup is, in files and bytes; totals grow while it looks around."""

    files: int
    files_total: int
    size: int
    size_total: int


class BackupSummary(NamedTuple):
    """What a backup has done; sizes in bytes. ``added`` is what the repository grew by."""

    snapshot: str
    files_new: int
    files_changed: int
    files_unmodified: int
    size: int
    added: int


class StoredFile(NamedTuple):
    """A file in a snapshot: its path from the root, such as ``/data/manifest.jsonl``; bytes."""

    path: str
    size: int


class Repository(Protocol):
    """Keeps backups; what each method promises stands at ``Restic``. All raise ``PaperfleetError``.

    Paths in a snapshot are from its root, such as ``/data/manifest.jsonl``.
    """

    @property
    def label(self) -> str:
        """Where it is, without secrets."""

    def identity(self) -> str:
        """Return its number; empty where there is none."""

    def init(self) -> None:
        """Make it; raise when there is one."""

    def backup(
        self,
        folder: Path,
        paths: Sequence[str],
        *,
        host: str,
        tags: Sequence[str],
        listener: Callable[[BackupProgress], object],
    ) -> BackupSummary:
        """Take these paths below ``folder``."""

    def snapshots(self, *, host: str = "", tags: Sequence[str] = ()) -> list[Snapshot]:
        """Return those that have all of these tags, the oldest first."""

    def forget(self, *, host: str, tags: Sequence[str], keep: Mapping[str, int]) -> None:
        """Keep of the snapshots with these tags so many of each kind, such as ``daily``."""

    def files(self, snapshot: str) -> Iterator[StoredFile]:
        """Yield every file of a snapshot."""

    def digests(self, snapshot: str) -> Iterator[tuple[str, int, str]]:
        """Yield each content of a snapshot: the SHA-256 of its name, its size, the real one."""

    def read(self, snapshot: str, path: str) -> bytes:
        """Return the content of one file."""

    def write(self, snapshot: str, path: str, target: IO[bytes]) -> None:
        """Write the content of one file to a stream."""

    def dumped(self, snapshot: str, path: str) -> AbstractContextManager[IO[bytes]]:
        """Give out a file as a stream."""

    def restore(self, snapshot: str, target: Path, paths: Sequence[str] = ()) -> None:
        """Lay these folders of a snapshot out below a folder."""

    def check(self, *, subset: str = "") -> str:
        """Check it, and read so much of it."""

    def unlock(self) -> None:
        """Remove the locks of processes that have died."""

    def has_dead_locks_alone(self) -> bool:
        """Say whether nobody can be at work there though it is locked."""
