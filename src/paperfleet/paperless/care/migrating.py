"""Moving all documents from one home to another, driven by the rows of the database.

On the migration engine, with its proof by bytes. The database has a word too: a file at the
destination that has the database's checksum is never replaced by one that has not, what has to make
way is kept, and a file that differs from the database is copied as it is, told, and never deleted.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paperfleet.errors import ConfigurationError, StorageError
from paperfleet.paperless.documents import digests, rows
from paperfleet.storage.apartness import require_apart
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.copying import Brought, Copier, CopyOutcome, verified
from paperfleet.transfer.migrate import Migration, MigrationResult, MigrationStep
from paperfleet.transfer.progress import Progress, VerifiedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from paperfleet.model import FileStat
    from paperfleet.paperless.care.surveying import Part
    from paperfleet.paperless.homes import Home
    from paperfleet.storage.full import FullStorage
    from paperfleet.transfer.migrate import Listener

THREADS = 8
_COPIED = (MigrationStep.COPIED, MigrationStep.REPLACED)
_SKIPPED = (MigrationStep.PRESENT, MigrationStep.TRUSTED)
_STOP_IT = "stop paperless-ngx and run it again"


@dataclass
class MigratedDocuments:
    """How a migration ended; names are those in the storage, such as ``archive/2024/a.pdf``.

    ``differing`` are files whose bytes are not those of the database, with what was found.
    """

    copied: int = 0
    skipped: int = 0
    deleted: int = 0
    kept: int = 0
    missing: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    differing: dict[str, str] = field(default_factory=dict)
    stopped: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything that the source has is at the destination, proven."""
        return not self.failed and not self.stopped

    @property
    def good(self) -> bool:
        """Whether there is nothing that somebody has to look at."""
        return self.complete and not self.differing


def prove_apart(old: Home, new: Home, areas: Iterable[str], *, delete: bool) -> None:
    """Raise ``ConfigurationError`` when both are one place; with ``delete`` also if nobody knows.

    Both are entered by the caller. Writes a small file at the destination for a moment.
    """
    try:
        for area in areas:
            require_apart(old.area(area), new.base)
            require_apart(old.area(area), new.area(area))
    except StorageError as error:
        if delete:
            raise ConfigurationError(
                f"whether source and destination are two places could not be found out ({error})",
                hint="Nothing was copied or deleted; --no-delete goes on without knowing",
            ) from error


class DocumentCopier(Copier):
    """A ``Copier`` that lets the database judge what the target has already."""

    def __init__(
        self,
        source: Home,
        target: Home,
        part: Part,
        bandwidth: Bandwidth,
    ) -> None:
        super().__init__(source.area(part.area), target.area(part.area), bandwidth)
        self._home, self._part = target, part

    def bring(self, source: FileStat, there: FileStat | None) -> Brought:
        """Copy a file, unless the target has it, or has what the database says it is.

        In the second case the entry tells nothing of the source, which is therefore kept. Other
        content in the way is set aside below ``kept``.
        """
        held = self._target_hash(there) if there is not None else None
        if there is None or held is None:
            return super().bring(source, None)
        same = there.size == source.size and held == (
            source.sha256 or self._source_hash(source.name)
        )
        if same or self._is_right(source.name, there):
            entry = verified(source, there, held)
            if not same:  # proves nothing of the source, which is therefore kept
                entry = entry._replace(source_state="")
            return Brought(entry, CopyOutcome.PRESENT)
        self._home.keep(self._part.area, there.name)
        return super().bring(source, None)._replace(outcome=CopyOutcome.REPLACED)

    def _is_right(self, name: str, there: FileStat) -> bool:
        known = self._part.expected.get(name)
        if known is None or not known.checksum:
            return False
        found = digests.comparable(self._target, there, known.checksum, trust=True)
        return found == known.checksum


class DocumentMigration:
    """Brings the parts of a survey over; both homes are entered by the caller."""

    def __init__(self, source: Home, target: Home, folder: Path, listener: Listener) -> None:
        self._source, self._target = source, target
        self._folder, self._listener = folder, listener
        self._running: Migration | None = None
        self._stopped = False

    def stop(self) -> None:
        """End soon, as ``Migration.stop``; safe from a signal handler."""
        self._stopped = True
        if self._running:
            self._running.stop()

    def run(
        self, parts: Sequence[Part], *, delete: bool, proven: Callable[[], object] = lambda: None
    ) -> MigratedDocuments:
        """Copy and verify everything, then, with ``delete``, let go of it at the source.

        Single failures are counted. Nothing is deleted unless every file was proven and the rows
        are still those of the survey; before that ``proven`` is called.
        """
        result = MigratedDocuments()
        done = [(part, *self._copy(part, result)) for part in parts if not self._stopped]
        if self._stopped and not result.stopped:
            result.stopped = "it was interrupted"
        if result.complete:
            result.failed |= _changed_meanwhile(parts)
        if result.complete:
            proven()
        for part, account, migration, progress in done:
            with progress:
                if delete and result.complete:
                    self._let_go(part, account, migration, progress, result)
        return result

    def _copy(
        self, part: Part, result: MigratedDocuments
    ) -> tuple[MigrationResult, Migration, Progress]:
        progress = Progress(self._progress_path(part.area))
        bandwidth = Bandwidth(None)
        migration = Migration(
            self._source.area(part.area),
            self._target.area(part.area),
            progress,
            bandwidth,
            self._listener,
            threads=THREADS,
            copier=DocumentCopier(self._source, self._target, part, bandwidth),
        )
        self._running = migration
        with progress:
            account = migration.copy(part.files, part.there)
            _add(result, part, account)
            if not account.stopped:
                _note_vanished(result, part, progress)
                differing = self._differing(part, progress)
                if not self._stopped:  # what could not be read was ended
                    result.differing |= differing
        return account, migration, progress

    def _progress_path(self, area: str) -> Path:
        pair = f"{self._source.label}\n{self._target.label}\n{area}"
        return self._folder / f"migration-{hashlib.sha256(pair.encode()).hexdigest()[:12]}.jsonl"

    def _differing(self, part: Part, progress: Progress) -> dict[str, str]:
        """Return the files at the destination whose bytes are not those of the database."""
        area = self._target.area(part.area)
        tasks: dict[str, Callable[[], str]] = {}
        for name, known in part.expected.items():
            if not known.checksum:
                continue
            entry = progress.verified.get(name)
            if name in part.only_there:
                tasks[name] = _digester(area, part.only_there[name], known.checksum)
            elif entry is not None and digests.is_md5(known.checksum):
                tasks[name] = _md5_reader(*self._cheaper(part.area, entry))
            elif entry is not None:
                tasks[name] = _constant(entry.sha256)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="compare") as pool:
            found = dict(zip(tasks, pool.map(lambda task: task(), tasks.values()), strict=True))
        return {
            f"{part.area}/{name}": f"the database says {part.expected[name].checksum}, it is {got}"
            for name, got in found.items()
            if got != part.expected[name].checksum
        }

    def _cheaper(self, area: str, entry: VerifiedFile) -> tuple[FullStorage, str]:
        """Return where to read proven bytes again: the same on both sides, cheaper on a disk."""
        if self._source.is_local_disk and entry.source_state:
            return self._source.area(area), entry.name
        return self._target.area(area), entry.target_name

    def _let_go(
        self,
        part: Part,
        account: MigrationResult,
        migration: Migration,
        progress: Progress,
        result: MigratedDocuments,
    ) -> None:
        before = len(account.failures)
        proven = {found.name for found in part.files if found.name in progress.verified}
        mine = {name for name in proven if f"{part.area}/{name}" not in result.differing}
        self._running = migration
        migration.let_go(account, mine)
        result.deleted += account.counts[MigrationStep.DELETED]
        result.kept += len(part.files) - account.counts[MigrationStep.DELETED]
        result.stopped = result.stopped or account.stopped
        if len(account.failures) > before:
            result.failed |= _named(part.area, account.failures)


def _add(result: MigratedDocuments, part: Part, account: MigrationResult) -> None:
    result.copied += sum(account.counts[step] for step in _COPIED)
    result.skipped += sum(account.counts[step] for step in _SKIPPED) + len(part.only_there)
    result.missing += [f"{part.area}/{name}" for name in part.missing]
    result.unlisted += [f"{part.area}/{name}" for name in part.unlisted]
    result.failed |= _named(part.area, account.failures | part.blocked)
    result.stopped = result.stopped or account.stopped


def _note_vanished(result: MigratedDocuments, part: Part, progress: Progress) -> None:
    for found in part.files:
        name = f"{part.area}/{found.name}"
        if found.name not in progress.verified and name not in result.failed:
            result.failed[name] = f"it vanished from the source meanwhile; {_STOP_IT}"


def _changed_meanwhile(parts: Sequence[Part]) -> dict[str, str]:
    """Return the files that rows name otherwise than when the migration began."""
    known = {part.area: part.expected for part in parts}
    return {
        f"{file.area}/{file.name}": f"it came or changed while the migration ran; {_STOP_IT}"
        for file in rows.expected(known)
        if known[file.area].get(file.name) != file
    }


def _named(area: str, reasons: Mapping[str, str]) -> dict[str, str]:
    return {f"{area}/{name}": reason for name, reason in reasons.items()}


def _constant(digest: str) -> Callable[[], str]:
    return lambda: digest


def _md5_reader(storage: FullStorage, name: str) -> Callable[[], str]:
    return lambda: _or_error(lambda: digests.read(storage, name).md5)


def _digester(storage: FullStorage, found: FileStat, checksum: str) -> Callable[[], str]:
    return lambda: _or_error(lambda: digests.comparable(storage, found, checksum, trust=True))


def _or_error(work: Callable[[], str]) -> str:
    try:
        return work()
    except StorageError as error:
        return f"unreadable ({error})"
