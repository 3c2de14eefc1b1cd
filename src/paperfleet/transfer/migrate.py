"""The migration: copy all, verify all, and only then let go."""

from __future__ import annotations

import enum
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol

from paperfleet.errors import NotFoundError, PaperfleetError, Scope, StorageError
from paperfleet.storage.full import LAST_REQUESTS_SECONDS, full
from paperfleet.storage.names import collision_key
from paperfleet.transfer.copying import Brought, Copier, CopyOutcome
from paperfleet.transfer.letting_go import LettingGo, NotApartError
from paperfleet.transfer.listing import listed
from paperfleet.transfer.progress import VerifiedFile, state_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from paperfleet.model import FileStat, Obstacle
    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.transfer.bandwidth import Bandwidth
    from paperfleet.transfer.progress import Progress
    from paperfleet.transfer.receipt import ReceiptEntry

_AHEAD = 4
"""Files that are handed out for each thread, so that none waits."""
_WHILE_DELETING = "it was interrupted while deleting"


class MigrationStep(enum.Enum):
    """What became of one file."""

    COPIED = "copied"
    REPLACED = "replaced"
    PRESENT = "present"
    TRUSTED = "verified before"
    VANISHED = "vanished"
    FAILED = "failed"
    LEFT_OUT = "left out"
    DELETED = "deleted"
    KEPT = "kept"


class FileEvent(NamedTuple):
    """One file came to an end of a step; ``reason`` says why, where it did not go well."""

    step: MigrationStep
    name: str
    size: int = 0
    reason: str = ""


class MigrationPlanned(NamedTuple):
    """What there is to do: files and bytes at the source, how many of them are at the target."""

    files: int
    size: int
    there: int
    there_size: int


class Listener(Protocol):
    """Takes events; called from the thread that runs the migration."""

    def __call__(self, event: FileEvent | MigrationPlanned) -> None:
        """Take one event; must not raise."""
        ...


@dataclass(slots=True)
class MigrationResult:
    """How a migration ended: counts by step, what failed and why, and the receipt's entries.

    ``copied_inside`` counts the files that the service of both storages copied by itself.
    ``obstacles`` are what the source has and no migration can read as a file, with the reason.
    ``earlier`` are files that earlier runs proved, that the target still has as they were then, and
    that the source has no more.
    """

    counts: dict[MigrationStep, int] = field(
        default_factory=lambda: dict.fromkeys(MigrationStep, 0)
    )
    copied_bytes: int = 0
    copied_inside: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    obstacles: dict[str, str] = field(default_factory=dict)
    vanished: set[str] = field(default_factory=set)
    entries: list[ReceiptEntry] = field(default_factory=list)
    earlier: list[ReceiptEntry] = field(default_factory=list)
    stopped: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything that the source has is at the target, proven."""
        return self.proven and not self.obstacles

    @property
    def proven(self) -> bool:
        """Whether every file that can be read at the source is at the target, proven."""
        return not self.failures and not self.stopped


class Migration:
    """Brings every file of one storage to another; both are entered by the caller.

    Nothing at the source is touched before every file is verified, and then only by
    ``let_go``. Single failures are counted and do not stop the rest; an error of a whole storage
    does, and the next run goes on from there.
    """

    def __init__(
        self,
        source: DocumentStorage,
        target: DocumentStorage,
        progress: Progress,
        bandwidth: Bandwidth,
        listener: Listener,
        *,
        threads: int = 8,
        copier: Copier | None = None,
    ) -> None:
        self._source, self._target = full(source), full(target)
        self._progress, self._listener = progress, listener
        self._copier = copier or Copier(self._source, self._target, bandwidth)
        self._threads = threads
        self._stop = threading.Event()
        self._deleting = False
        self._can = self._target.capabilities
        self._keys: dict[str, str] = {}
        self.obstacles: list[Obstacle] = []
        self._letting_go = LettingGo(self._source, self._target)

    def stop(self) -> None:
        """End soon; safe from any thread and from a signal handler.

        Requests that are under way have a few seconds where the storages can end them; the next run
        goes on from there. A delete at the source is finished, with all that proves it.
        """
        self._stop.set()
        if not self._deleting:  # looked at after the stop is set, as set before that is looked at
            for storage in (self._source, self._target):
                storage.end_requests(LAST_REQUESTS_SECONDS)

    @contextmanager
    def _until_stopped(self) -> Iterator[None]:
        """Pass over what requests raise that ``stop`` has ended: the account says so."""
        try:
            yield
        except StorageError:
            if not self._stop.is_set():
                raise

    def plan(self) -> tuple[list[FileStat], dict[str, FileStat]]:
        """Return what is at the source, sorted by name, and what is at the target, by name.

        What the source has and cannot give as a file is remembered for the account of ``copy``.
        Returns nothing when ``stop`` ended the listing; ``copy`` then says so.
        """
        files: list[FileStat] = []
        there: dict[str, FileStat] = {}
        with self._until_stopped():
            files, self.obstacles = listed(self._source)
            there = {stat.name: stat for stat in self._target.list_stats()}
        if self._stop.is_set():
            return [], {}
        sizes = [f.size for f in files if f.name in there]
        self._listener(
            MigrationPlanned(len(files), sum(f.size for f in files), len(sizes), sum(sizes))
        )
        return files, there

    def copy(self, files: Iterable[FileStat], there: dict[str, FileStat]) -> MigrationResult:
        """Copy and verify; return the account."""
        account = MigrationResult()
        for obstacle in self.obstacles:
            account.obstacles[obstacle.name] = obstacle.reason
            self._listener(FileEvent(MigrationStep.LEFT_OUT, obstacle.name, 0, obstacle.reason))
            account.counts[MigrationStep.LEFT_OUT] += 1
        with ThreadPoolExecutor(self._threads, thread_name_prefix="migrate") as pool:
            self._run(pool, iter(files), there, account)
        with self._until_stopped():
            self._look_for_vanished(account)
        if self._stop.is_set() and not account.stopped:
            account.stopped = "it was interrupted"
        account.entries.sort()
        account.earlier = self._progress.gone_from_source(account.entries, there)
        return account

    def _look_for_vanished(self, account: MigrationResult) -> None:
        """Make obstacles of files that could not be opened and are listed all the same."""
        if not account.vanished:
            return
        still = {stat.name for stat in listed(self._source)[0]} & account.vanished
        for name in still:
            account.obstacles[name] = "it is listed, and there is no file of this name to open"

    def _run(
        self,
        pool: ThreadPoolExecutor,
        files: Iterator[FileStat],
        there: dict[str, FileStat],
        account: MigrationResult,
    ) -> None:
        running: dict[Future[Brought | None], FileStat] = {}
        # concurrent.futures.wait would visit every running one for each that ends.
        done: SimpleQueue[Future[Brought | None]] = SimpleQueue()
        more = True
        while running or more:
            while more and len(running) < _AHEAD * self._threads and not account.stopped:
                source = None if self._stop.is_set() else next(files, None)
                if source is None:
                    more = False
                elif not (
                    self._collides(source, account)
                    or self._trust(source, there.get(source.name), account)
                ):
                    future = pool.submit(self._bring, source, there.get(source.name))
                    running[future] = source
                    future.add_done_callback(done.put)
            more = more and not account.stopped
            if running:
                future = done.get()
                with self._until_stopped():
                    self._note(future, running.pop(future), account)

    def _bring(self, source: FileStat, there: FileStat | None) -> Brought | None:
        return None if self._stop.is_set() else self._copier.bring(source, there)

    def _collides(self, source: FileStat, account: MigrationResult) -> bool:
        """Fail a file that the target would take for another one: it would overwrite that one."""
        key = collision_key(source.name, self._can)
        other = self._keys.setdefault(key, source.name)
        if other == source.name:
            return False
        reason = f"the target takes it for {other!r}; rename one of them at the source"
        account.failures[source.name] = reason
        self._count(account, MigrationStep.FAILED, source, reason)
        return True

    def _trust(self, source: FileStat, there: FileStat | None, account: MigrationResult) -> bool:
        """Count a file that an earlier run verified and that nobody has touched since."""
        entry = self._progress.still_true(source.name, source, there)
        if entry is None:
            return False
        self._count(account, MigrationStep.TRUSTED, source)
        account.entries.append(entry.entry)
        return True

    def _note(
        self, future: Future[Brought | None], source: FileStat, account: MigrationResult
    ) -> None:
        error = future.exception()
        if error is None:
            brought = future.result()
            if brought is None:
                return
            self._progress.add(brought.verified)
            account.entries.append(brought.verified.entry)
            step = MigrationStep[brought.outcome.name]
            account.copied_bytes += source.size if brought.outcome is not CopyOutcome.PRESENT else 0
            account.copied_inside += brought.inside
            self._count(account, step, source)
        elif self._stop.is_set() and isinstance(error, StorageError) and error.transient:
            return  # it was ended
        elif isinstance(error, NotFoundError) and not self._source.exists(source.name):
            account.vanished.add(source.name)
            self._count(
                account, MigrationStep.VANISHED, source, "it vanished from the source meanwhile"
            )
        elif isinstance(error, PaperfleetError | OSError):
            self._fail(error, source, account)
        else:
            raise error

    def _fail(self, error: Exception, source: FileStat, account: MigrationResult) -> None:
        account.failures[source.name] = str(error)
        self._count(account, MigrationStep.FAILED, source, str(error))
        if isinstance(error, StorageError) and error.scope is Scope.STORAGE:
            account.stopped = str(error)

    def _count(
        self, account: MigrationResult, step: MigrationStep, source: FileStat, reason: str = ""
    ) -> None:
        account.counts[step] += 1
        self._listener(FileEvent(step, source.name, source.size, reason))

    def let_go(self, account: MigrationResult, among: Container[str] | None = None) -> None:
        """Delete from the source what was verified and has not changed since.

        Does nothing unless the account is complete. A file that changed or came since is kept, and
        counted. ``among`` are the names that may be deleted, None for all.
        """
        if not account.complete:
            return
        through = False
        with self._until_stopped():
            through = self._delete_all(account, among)
        if not (through or account.stopped):
            account.stopped = _WHILE_DELETING

    def _delete_all(self, account: MigrationResult, among: Container[str] | None) -> bool:
        """Delete one after the other; return whether every file was looked at."""
        for source in listed(self._source)[0]:
            if among is not None and source.name not in among:
                continue
            if self._stop.is_set():
                return False
            self._delete(source, self._progress.verified.get(source.name), account)
            if account.stopped:
                return False
        return True

    def _delete(
        self, source: FileStat, entry: VerifiedFile | None, account: MigrationResult
    ) -> None:
        if entry is None or not self._unchanged(source, entry):
            self._count(
                account, MigrationStep.KEPT, source, "it came or changed after it was verified"
            )
            return
        self._deleting = True
        try:
            if self._stop.is_set():
                account.stopped = _WHILE_DELETING
                return
            reason = self._letting_go.delete(source, entry)
        except StorageError as error:
            reason = str(error)
            if isinstance(error, NotApartError) or error.scope is Scope.STORAGE:
                account.stopped = reason
        finally:
            self._deleting = False
        if reason:
            account.failures[source.name] = reason
            self._count(account, MigrationStep.KEPT, source, reason)
        else:
            self._count(account, MigrationStep.DELETED, source)

    def _unchanged(self, source: FileStat, entry: VerifiedFile) -> bool:
        """Say whether the source file is the one that was verified, by its bytes if need be."""
        if entry.source_state and entry.source_state == state_of(source):
            return True
        digest = self._source.content_sha256(source.name)
        return source.size == entry.size and digest == entry.sha256
