"""``paperfleet backup run``: collect, hand over, keep as many backups as were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from paperfleet.backup import manifest as manifests
from paperfleet.backup import place as places
from paperfleet.backup import points
from paperfleet.backup.place import alone
from paperfleet.backup.snapshots import is_ahead, rows
from paperfleet.backup.tags import COMPLETE, OURS, tags_of
from paperfleet.backup.tree import prove
from paperfleet.errors import (
    BackupError,
    NoRepositoryError,
    RepositoryError,
    RepositoryLockedError,
)
from paperfleet.running.bar import Bar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.backup.instance import Instance
    from paperfleet.backup.manifest import Manifest
    from paperfleet.backup.place import BackupPlace
    from paperfleet.backup.repository import BackupProgress, BackupSummary, Repository
    from paperfleet.settings.backup import BackupSettings

_T = TypeVar("_T")
_COLLECTIONS: Final = 2


class TakenBackup(NamedTuple):
    """A backup that the repository has: what is in it, and what was new.

    ``collected`` is what the installation's side counted: ``new`` files, ``new_size`` in bytes,
    ``passes``, ``pruned``. ``not_forgotten`` says why old backups were not let go of.
    """

    manifest: Manifest
    summary: BackupSummary
    collected: Mapping[str, object]
    not_forgotten: str = ""

    @property
    def complete(self) -> bool:
        """Whether every file is as the database says."""
        return not self.manifest.faults


@dataclass(frozen=True)
class Taking:
    """Takes backups of one installation; ``run`` raises ``BackupError`` and ``LeaseError``."""

    settings: BackupSettings
    place: BackupPlace
    repository: Repository
    instance: Instance

    def run(
        self,
        *,
        init: bool,
        say: Callable[[str], object],
        listener: Callable[[BackupProgress], object],
    ) -> TakenBackup:
        """Take one. ``init`` makes the repository where there is none."""
        self.place.make()
        with alone(self.place):
            identity = self._require_repository(init=init, say=say)
            points.passed("run.ready")
            try:
                collected = self._collect(identity, say)
                manifest = self.place.manifest()
                self._require_documents(manifest)
                points.passed("run.collected")
                summary = self._unlocked(
                    lambda: self.repository.backup(
                        self.place.folder,
                        [places.DATA, manifests.TREE],
                        host=self.settings.name,
                        tags=tags_of(manifest),
                        listener=listener,
                    ),
                    say,
                )
                points.passed("run.kept")
            finally:
                self.place.clear()
            points.passed("run.cleared")
            taken = TakenBackup(manifest, summary, collected)
            if not taken.complete:
                return taken
            self.place.clear_restores()
            try:
                self._unlocked(self._forget, say)
            except RepositoryError as error:
                return taken._replace(not_forgotten=str(error))
            points.passed("run.forgotten")
            return taken

    def _unlocked(self, action: Callable[[], _T], say: Callable[[str], object]) -> _T:
        """Do something, and once more when only locks of dead processes were in its way."""
        try:
            return action()
        except RepositoryLockedError:
            if not self.repository.has_dead_locks_alone():
                raise
        say("removing locks of the repository that nobody has renewed for an hour")
        self.repository.unlock()
        return action()

    def _collect(self, identity: str, say: Callable[[str], object]) -> Mapping[str, object]:
        """Let the installation collect, and prove the tree before restic takes it.

        What is damaged in the tree is collected anew, once.
        """
        reader = f"{identity}/{self.settings.name}"  # of another name restic reads all again, too
        damaged: list[str] = []
        for _ in range(_COLLECTIONS):
            collected = self.instance.collect(
                self.place.folder, thumbnails=self.settings.thumbnails
            )
            with Bar("prove") as bar:
                damaged = prove(self.place, reader, planned=bar.plan, listener=bar.advance).damaged
            if not damaged:
                return collected
            say(
                f"{len(damaged):,} files of the tree are not what their names say. They lie in"
                f" {self.place.damaged} now, and are brought again"
            )
        raise BackupError(
            f"{self.place.tree} does not keep what is written to it, such as {damaged[0]}",
            hint="Look at that disk, or name another folder in PAPERFLEET_BACKUP_FOLDER. The"
            " backups before are as they were",
        )

    def _require_documents(self, manifest: Manifest) -> None:
        """Refuse an empty installation where there are backups of a filled one.

        It is one that a restore has not filled yet, and its backup would be the last complete one.
        """
        if manifest.documents or not any(
            row.documents for row in rows(self.repository, self.settings.name) if row.complete
        ):
            return
        raise BackupError(
            f"this installation has no document, and {self.repository.label} has backups of"
            f" {self.settings.name!r} with some",
            hint="Restore one of them first (paperfleet backup restore). If this is another"
            " installation, give it a name of its own in PAPERFLEET_BACKUP_NAME",
        )

    def _require_repository(self, *, init: bool, say: Callable[[str], object]) -> str:
        """Make sure that there is a repository, before anything else is done; return its number."""
        if identity := self.repository.identity():
            return identity
        if not init:
            raise NoRepositoryError(
                f"there is no repository at {self.repository.label}, or it cannot be reached",
                hint="Look at PAPERFLEET_BACKUP_REPOSITORY. To make a new one: paperfleet backup"
                " run --init",
            )
        self.repository.init()
        made = f"made a new repository at {self.repository.label}"
        say(f"{made}; keep its password in another place too")
        return self.repository.identity()

    def _forget(self) -> None:
        """Let go of old backups; one that is not complete displaces none that is.

        With a clock that is wrong restic would take the newest for old ones.
        """
        for one in self.repository.snapshots(host=self.settings.name, tags=(OURS,)):
            if is_ahead(one):
                raise RepositoryError(
                    f"the clock of this machine is wrong, or was: backup {one.short} is of a time"
                    f" to come, {one.time}",
                    hint="Set the clock. If it is right now, remove that backup once there are"
                    f" newer ones: restic forget {one.short}",
                )
        kinds = ("daily", "weekly", "monthly")
        keep = {kind: getattr(self.settings, f"keep_{kind}") for kind in kinds}
        self.repository.forget(host=self.settings.name, tags=(OURS, COMPLETE), keep=keep)
