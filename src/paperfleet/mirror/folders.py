"""The folders of the target: made before their first file, removed after their last."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from paperfleet.errors import Scope, StorageError
from paperfleet.mirror.events import Notice
from paperfleet.mirror.policy import TRIES_BEFORE_QUARANTINE, Then, verdict
from paperfleet.model import Delete, Move, MoveFolder
from paperfleet.storage.names import is_below, parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.ended import StepDone
    from paperfleet.mirror.events import Reporter
    from paperfleet.mirror.finding import TargetFinding
    from paperfleet.mirror.jobs import FolderStep
    from paperfleet.model import Operation, Put
    from paperfleet.storage.full import FullStorage

_LEFT = "folders_left"
_MIXED = "folders_mixed"


def _remembered(journal: Journal, fact: str) -> set[str]:
    folders = journal.get_fact(fact)
    return {str(folder) for folder in folders} if isinstance(folders, list) else set()


class TargetFolders:
    """Knows which folders of the target are there, and which may have become empty."""

    def __init__(self, target: FullStorage, journal: Journal, report: Reporter) -> None:
        self._journal, self._report = journal, report
        self._exist_there = target.capabilities.folders
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

    def missing(self, puts: Iterable[Put], touched: Callable[[str], object]) -> set[str]:
        """Return the folders to be made for sends: unknown, or ``touched`` by the same plan."""
        if not self._exist_there:
            return set()
        wanted = {folder for put in puts for folder in parents(put.target_name)}
        missing = {f for f in wanted if touched(f) or not self._is_there(f)}
        self._remember(missing)
        return missing

    def _is_there(self, folder: str) -> bool:
        if folder not in self._made and self._journal.count_proven_below(folder):
            self._made.add(folder)
        return folder in self._made

    def emptied(self) -> list[str]:
        """Return the folders that may have lost their last file, the deepest first."""
        return sorted(self._left, key=lambda f: (-f.count("/"), f)) if self._exist_there else []

    def is_due(self, step: FolderStep) -> bool:
        """Say whether a folder is still to be made, or removed: nothing of ours is in it.

        What is in doubt may turn out not to be there, so such a folder stays for now.
        """
        if step.action == "make":
            return not self._is_there(step.folder)
        if self._journal.count_proven_below(step.folder):
            self._let_stay(step.folder)
            return False
        self._made.discard(step.folder)
        return not self._journal.count_below(step.folder)

    def settle(self, done: StepDone) -> StorageError | None:
        """Take note of what became of a folder; return an error of the target as a whole.

        What is wrong with one folder is met again by the send into it, and told with its file.
        """
        (action, folder), error = done.step, done.error
        if error and not self._is_of_its_own(folder, error):
            if not isinstance(error, StorageError):
                raise error
            return error
        if action == "remove":
            if error:
                reason = getattr(error, "reason", str(error))
                self._report(Notice(f"The empty folder {folder} stays: {reason}", "info"))
            self._let_stay(folder)
        elif not error:
            self._made.add(folder)
        return None

    def _let_stay(self, folder: str) -> None:
        if folder in self._left:
            self._left.discard(folder)
            self._journal.set_fact(_LEFT, sorted(self._left))

    def _is_of_its_own(self, folder: str, error: BaseException) -> bool:
        """Say whether an error is the folder's alone: also one that it meets again and again."""
        if not isinstance(error, StorageError) or error.scope is Scope.NAME:
            return True
        self._failures[folder] += 1
        given_up = self._failures[folder] >= TRIES_BEFORE_QUARANTINE
        return given_up and verdict(error).then is Then.PAUSE_AND_COUNT

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
        if self._exist_there and not folders <= self._left:
            self._left |= folders
            self._journal.set_fact(_LEFT, sorted(self._left))
