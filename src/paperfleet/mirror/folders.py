"""The folders of the target: made before their first file, removed after their last."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import wait
from typing import TYPE_CHECKING

from paperfleet.errors import Scope, StorageError
from paperfleet.mirror.events import Notice
from paperfleet.mirror.policy import TRIES_BEFORE_QUARANTINE, Then, verdict
from paperfleet.model import Delete, Move, MoveFolder
from paperfleet.storage import abilities
from paperfleet.storage.names import is_below, parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.events import Reporter
    from paperfleet.mirror.pool import Pool
    from paperfleet.mirror.target import TargetFinding
    from paperfleet.model import Operation, Put
    from paperfleet.storage.protocol import DocumentStorage

_LEFT = "folders_left"
_MIXED = "folders_mixed"


def _remembered(journal: Journal, fact: str) -> set[str]:
    folders = journal.get_fact(fact)
    return {str(folder) for folder in folders} if isinstance(folders, list) else set()


class TargetFolders:
    """Knows which folders of the target are there, and which may have become empty."""

    def __init__(
        self, target: DocumentStorage, journal: Journal, pool: Pool, report: Reporter
    ) -> None:
        self._target, self._journal = target, journal
        self._pool, self._report = pool, report
        self._exist_there = abilities.capabilities_of(target).folders
        self._made: set[str] = set()
        self._left = _remembered(journal, _LEFT)
        self._mixed = _remembered(journal, _MIXED)
        self._failures: Counter[str] = Counter()

    def accept(self, finding: TargetFinding) -> None:
        """Take over what a check of the target found; who made folders before may have erred."""
        self._made.clear()
        found = finding.mixed & finding.etags.keys()
        mixed = (self._mixed - finding.etags.keys() - finding.gone) | found
        if mixed != self._mixed:
            self._mixed = mixed
            self._journal.set_fact(_MIXED, sorted(mixed))

    def trusted_etag(self, operation: Operation) -> str | None:
        """Return the etag of a moved folder if all files in it were seen to be the mirror's."""
        if not isinstance(operation, MoveFolder):
            return None
        old, etags = operation.old_target, self._journal.folder_etags()
        if any(folder == old or is_below(folder, old) for folder in self._mixed):
            return None
        return etags.get(old)

    def make_for(self, puts: Sequence[Put]) -> None:
        """Make the folders that the sends go into, level by level, each once.

        Raises ``StorageError`` when the target as a whole is out of reach. What is wrong with one
        folder is met again by the send into it, and told with its file.
        """
        if not self._exist_there:
            return
        wanted = {folder for put in puts for folder in parents(put.target_name)} - self._made
        missing = {folder for folder in wanted if not self._journal.count_proven_below(folder)}
        self._remember(missing)
        failed: set[str] = set()
        for depth in sorted({folder.count("/") for folder in missing}):
            level = [folder for folder in missing if folder.count("/") == depth]
            failed |= self._make(level)
        self._made |= wanted - failed

    def _make(self, folders: Sequence[str]) -> set[str]:
        futures = {folder: self._pool.submit(self._maker(folder)) for folder in folders}
        wait(futures.values())
        errors = {folder: future.exception() for folder, future in futures.items()}
        for folder, error in errors.items():
            if error and not self._is_of_its_own(folder, error):
                raise error
        return {folder for folder, error in errors.items() if error}

    def _is_of_its_own(self, folder: str, error: BaseException) -> bool:
        """Say whether an error is the folder's alone: also one that it meets again and again."""
        if not isinstance(error, StorageError) or error.scope is Scope.NAME:
            return True
        self._failures[folder] += 1
        given_up = self._failures[folder] >= TRIES_BEFORE_QUARANTINE
        return given_up and verdict(error).then is Then.PAUSE_AND_COUNT

    def _maker(self, folder: str) -> Callable[[], None]:
        return lambda: abilities.make_folder(self._target, folder)

    def leaving(self, operations: Iterable[Operation]) -> None:
        """Write down the folders that these operations may leave empty, before they are tried."""
        folders: set[str] = set()
        for operation in operations:
            if isinstance(operation, MoveFolder):
                old = operation.old_target
                self._made -= {f for f in self._made if f == old or is_below(f, old)}
                folders.update(parents(old))
            elif isinstance(operation, Move | Delete):
                folders.update(parents(operation.known.target_name))
        self._remember(folders)

    def forgotten(self, target_names: Iterable[str]) -> None:
        """Write down the folders made ahead for files that are not to come any more."""
        self._remember({folder for name in target_names for folder in parents(name)})

    def _remember(self, folders: set[str]) -> None:
        """Keep these in the journal until ``prune`` has looked at them, also over a crash."""
        if not folders <= self._left:
            self._left |= folders
            self._journal.set_fact(_LEFT, sorted(self._left))

    def prune(self, busy: Callable[[str], bool]) -> None:
        """Remove the folders that lost their last file, the deepest first, if nothing is in them.

        Raises ``StorageError`` when the target as a whole is out of reach.
        """
        before = len(self._left)
        for folder in sorted(self._left, key=lambda f: (-f.count("/"), f)):
            if busy(folder):
                continue
            if self._exist_there and not self._journal.count_proven_below(folder):
                if self._journal.count_below(folder):
                    continue  # what is in doubt may turn out not to be there
                self._remove(folder)
            self._left.discard(folder)
        if len(self._left) != before:
            self._journal.set_fact(_LEFT, sorted(self._left))

    def _remove(self, folder: str) -> None:
        self._made.discard(folder)
        try:
            abilities.remove_folder(self._target, folder)
        except StorageError as error:
            if not self._is_of_its_own(folder, error):
                raise
            self._report(Notice(f"The empty folder {folder} stays: {error.reason}", "info"))
