"""``paperfleet backup run``: collect, hand over to restic, keep as many as were asked for."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from paperfleet.backup import manifest as manifests
from paperfleet.backup import place as places
from paperfleet.errors import BackupError, LeaseTimeoutError, NoRepositoryError, RepositoryError
from paperfleet.locks.registry import open_lease_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from paperfleet.backup.instance import Instance
    from paperfleet.backup.manifest import Manifest
    from paperfleet.backup.place import BackupPlace
    from paperfleet.backup.restic import Restic, ResticProgress, ResticSummary
    from paperfleet.settings.backup import BackupSettings

OURS: Final = "paperfleet"
"""The tag of every snapshot that we made."""
COMPLETE: Final = "complete"
INCOMPLETE: Final = "incomplete"
_LEASE: Final = "backup"
_LEASE_SECONDS: Final = 60.0


class TakenBackup(NamedTuple):
    """A backup that restic has: what is in it, and what was new.

    ``collected`` is what the installation's side counted: ``new`` files, ``new_size`` in bytes,
    ``passes``, ``pruned``. ``not_forgotten`` says why old backups were not let go of.
    """

    manifest: Manifest
    summary: ResticSummary
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
    restic: Restic
    instance: Instance

    def run(
        self,
        *,
        init: bool,
        say: Callable[[str], object],
        listener: Callable[[ResticProgress], object],
    ) -> TakenBackup:
        """Take one. ``init`` makes the repository where there is none."""
        self.place.make()
        with alone(self.place):
            self._require_repository(init=init, say=say)
            try:
                collected = self.instance.collect(
                    self.place.folder, thumbnails=self.settings.thumbnails
                )
                manifest = self.place.manifest()
                summary = self.restic.backup(
                    self.place.folder,
                    [places.DATA, manifests.TREE],
                    host=self.settings.name,
                    tags=tags_of(manifest),
                    listener=listener,
                )
            finally:
                self.place.clear()
            taken = TakenBackup(manifest, summary, collected)
            if not taken.complete:
                return taken
            try:
                self._forget()
            except RepositoryError as error:
                return taken._replace(not_forgotten=str(error))
            return taken

    def _require_repository(self, *, init: bool, say: Callable[[str], object]) -> None:
        """Make sure that there is a repository, before anything else is done."""
        if self.restic.has_repository():
            return
        if not init:
            raise NoRepositoryError(
                f"there is no repository at {self.restic.label}, or it cannot be reached",
                hint="Look at PAPERFLEET_BACKUP_REPOSITORY. To make a new one: paperfleet backup"
                " run --init",
            )
        self.restic.init()
        say(f"made a new repository at {self.restic.label}; keep its password in another place too")

    def _forget(self) -> None:
        """Let go of old backups; one that is not complete displaces none that is."""
        kinds = ("daily", "weekly", "monthly")
        keep = {kind: getattr(self.settings, f"keep_{kind}") for kind in kinds}
        self.restic.forget(host=self.settings.name, tags=(OURS, COMPLETE), keep=keep)


def tags_of(manifest: Manifest) -> list[str]:
    """Return the tags of its snapshot, from which ``list`` is made."""
    return [
        OURS,
        INCOMPLETE if manifest.faults else COMPLETE,
        f"paperless={manifest.paperless}",
        f"as-of={manifest.as_of}",
        f"documents={manifest.documents}",
        f"files={len(manifest.files)}",
        f"bytes={manifest.size}",
    ]


@contextmanager
def alone(place: BackupPlace) -> Iterator[None]:
    """Let nobody else use the folder of the backup meanwhile; raise ``BackupError`` if one does."""
    with open_lease_store(f"file:{quote(str(place.folder / 'leases'))}") as store:
        try:
            held = store.acquire(_LEASE, ttl=_LEASE_SECONDS, timeout=0)
        except LeaseTimeoutError as error:
            raise BackupError(
                f"another backup works in {place.folder}: {error.message}",
                hint="Wait until it has ended. A process that was killed is forgotten after"
                f" {_LEASE_SECONDS:g} seconds",
            ) from None
        with held:
            yield
