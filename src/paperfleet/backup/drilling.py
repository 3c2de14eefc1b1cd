"""``paperfleet backup drill``: restore a backup into a throw-away installation, and look at it.

Whatever ends a drill that has begun, but for a signal, makes it red.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from paperfleet.backup import manifest as manifests
from paperfleet.backup import place as places
from paperfleet.backup import published
from paperfleet.backup.instance import Instance
from paperfleet.backup.place import BackupPlace, alone
from paperfleet.backup.published import GREEN, RED, UNFINISHED, Drill
from paperfleet.backup.restoring import Restoring
from paperfleet.backup.snapshots import chosen
from paperfleet.errors import (
    BackupError,
    PaperfleetError,
    RepositoryDamagedError,
    RepositoryError,
)
from paperfleet.private import make_folder
from paperfleet.running.words import duration_text, files_text, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from paperfleet.backup.manifest import Manifest
    from paperfleet.backup.repository import Repository
    from paperfleet.backup.snapshots import BackupRow

THROW_AWAY: Final = "drill"
"""The folder, in that of the backup, below which each drill has a folder of its own."""
PREPARED: Final = "prepared.json"
"""The file in which the command ``prepare`` tells the version."""
LOOKED_AT: Final = "looked-at.json"
"""The file in which the command ``look`` answers."""
_SHOWN: Final = 20
_COPIES: Final = 2
"""A document lies in a drill so often: as restic laid it out, and in the installation."""


class LookedAt(NamedTuple):
    """What was found in a throw-away installation; the command writes it as JSON.

    ``documents`` are in its database, with trash and versions; ``compared`` of them were looked at,
    with so many ``files``; ``pdfs`` opened, ``locked`` ones beside need a password to; ``searches``
    found the document that they should. ``known`` PDFs do not open, as somebody knew. ``wrong``
    says what is not as it was backed up.
    """

    documents: int
    compared: int
    files: int
    pdfs: int
    locked: int
    known: int
    searches: int
    wrong: list[str]


class ThrowAwayInstance(Instance, Protocol):
    """An installation in a folder, that shares nothing with any other."""

    def prepare(self) -> None:
        """Make its tables, having made sure that it is one; raise ``BackupError``."""

    def look(self, restored: Path, *, seed: int, known: Collection[int]) -> LookedAt:
        """Compare it with the manifest of a place (``place``); raise ``BackupError``."""


@dataclass(frozen=True)
class Drilling:
    """Drills backups of one installation; ``make`` gives a throw-away one in an empty folder."""

    name: str
    place: BackupPlace
    repository: Repository
    make: Callable[[Path], ThrowAwayInstance]

    def run(
        self,
        snapshot: str,
        *,
        seed: int,
        known: Collection[int],
        say: Callable[[str], object],
    ) -> Drill:
        """Drill a backup by its number, or ``latest``; return what is published then.

        ``known`` are documents whose PDF was broken before. Raises ``BackupError`` for a repository
        that cannot be used, and for another drill at work.
        """
        self.place.make()
        with alone(self.place, THROW_AWAY):
            self._sweep(say)
            begun = Drill(UNFINISHED, time.time(), self.repository.label, self.name, seed=seed)
            self._publish(begun)
            try:
                row = chosen(self.repository, self.name, snapshot)
                begun = begun._replace(
                    snapshot=row.snapshot, as_of=row.as_of, paperless=row.paperless
                )
                drill = self._judged(begun, row, known, say)
            except PaperfleetError as error:
                drill = self._end(begun, begun._replace(outcome=RED, reasons=(error.message,)))
                if not _is_of_the_backup(error):
                    raise
                say(str(error))
                return drill
            return self._end(begun, drill)

    def _judged(
        self,
        begun: Drill,
        row: BackupRow,
        known: Collection[int],
        say: Callable[[str], object],
    ) -> Drill:
        self._require_room(row)
        with self._folder() as folder:
            began = time.monotonic()
            instance = self.make(folder)
            instance.prepare()
            manifest = Restoring(self.repository, row).into(
                instance, BackupPlace(folder / "work"), say
            )
            taken = time.monotonic() - began
            say(f"restored within {duration_text(taken)}; looking at it, with seed {begun.seed}")
            restored = BackupPlace(folder / "restored")
            restored.begin()
            restored.write(places.MANIFEST, manifests.lines(manifest))
            found = instance.look(restored.folder, seed=begun.seed, known=known)
        for text in _told(found):
            say(text)
        wrong = [*_uncounted(row, manifest, found), *found.wrong]
        more = len(wrong) - _SHOWN
        reasons = (*wrong[:_SHOWN], *([f"and {more:,} more"] if more > 0 else []))
        return begun._replace(
            outcome=RED if wrong else GREEN,
            documents=found.documents,
            compared=found.compared,
            files=found.files,
            pdfs=found.pdfs,
            searches=found.searches,
            restore_seconds=round(taken, 1),
            reasons=reasons,
        )

    def _end(self, begun: Drill, drill: Drill) -> Drill:
        """Publish how it ended, and return that."""
        now = time.time()
        ended = drill._replace(at=now, seconds=round(max(0.0, now - begun.at), 1))
        self._publish(ended)
        return ended

    def _publish(self, drill: Drill) -> None:
        published.publish(self.place.folder, drill)

    def _sweep(self, say: Callable[[str], object]) -> None:
        """Remove what drills that were killed have left."""
        left = self.place / THROW_AWAY
        if left.exists():
            say("removing what a drill that was killed has left")
            shutil.rmtree(left, ignore_errors=True)  # what it started may write still

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Make a folder, and remove it whatever happens: documents and passwords lie in it.

        Its name is new: what a drill that was killed has started may still write into the old one.
        """
        try:
            make_folder(self.place / THROW_AWAY)
            yield Path(tempfile.mkdtemp(dir=self.place / THROW_AWAY))
        except OSError as error:
            if isinstance(error, PaperfleetError):
                raise
            raise BackupError(
                f"the throw-away installation cannot be written: {error.strerror}",
                hint=f"Make room in {self.place.folder}, and drill again",
            ) from None
        finally:
            shutil.rmtree(self.place / THROW_AWAY, ignore_errors=True)

    def _require_room(self, row: BackupRow) -> None:
        free = shutil.disk_usage(self.place.folder).free
        if free < _COPIES * row.size:
            raise BackupError(
                f"a drill of this backup needs {size_text(_COPIES * row.size)}, and"
                f" {self.place.folder} has room for {size_text(free)}",
                hint="Make room, or name a folder with more of it in PAPERFLEET_BACKUP_FOLDER",
            )


def _is_of_the_backup(error: PaperfleetError) -> bool:
    """Say whether an error is about the backup, and not about reaching it."""
    if not isinstance(error, BackupError):
        return False
    return isinstance(error, RepositoryDamagedError) or not isinstance(error, RepositoryError)


def _uncounted(row: BackupRow, manifest: Manifest, found: LookedAt) -> Iterator[str]:
    """Yield which counts differ, and what was not looked at at all."""
    counts = {row.documents, manifest.documents, found.documents}
    if len(counts) > 1:
        yield (
            f"{found.documents:,} documents were restored, where the backup is said to have"
            f" {row.documents:,} and its manifest says {manifest.documents:,}"
        )
    if not row.complete or manifest.faults:
        count = files_text(len(manifest.faults))
        yield f"the backup is not complete: {count} were missing or damaged when it was made"
    if not (found.compared and found.files):
        yield "nothing was compared: the backup has no document"
    if not found.searches:
        yield "no search has found anything"


def _told(found: LookedAt) -> Iterator[str]:
    yield (
        f"compared {found.compared:,} of {found.documents:,} documents,"
        f" {files_text(found.files)} by SHA-256; opened {found.pdfs:,} PDFs;"
        f" {found.searches:,} searches found what they should"
    )
    if found.locked:
        yield f"{found.locked:,} PDFs were not opened: they need a password"
    if found.known:
        yield f"{found.known:,} PDFs do not open, as --known-broken says"
