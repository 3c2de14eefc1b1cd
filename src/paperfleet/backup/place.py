"""The folder of the backup on this host, and what lies where in it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from paperfleet.backup import manifest as manifests
from paperfleet.errors import BackupError, LeaseTimeoutError
from paperfleet.locks.registry import open_lease_store
from paperfleet.private import make_folder, open_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from paperfleet.backup.manifest import Manifest

DATA: Final = "data"
"""What a snapshot has beside the tree: the database part, the manifest, how to use them."""
DATABASE: Final = f"{DATA}/database"
"""What ``document_exporter --data-only`` wrote."""
MANIFEST: Final = f"{DATA}/manifest.jsonl"
RECEIPT: Final = f"{DATA}/files.receipt"
CONFIGURATION: Final = f"{DATA}/configuration.json"
SCRIPT: Final = f"{DATA}/lay_out.py"
_RESTORE: Final = "restore-"
_LEASE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class BackupPlace:
    """A folder that this host keeps for the backup; only its owner can read it."""

    folder: Path

    def __truediv__(self, below: str) -> Path:
        return self.folder / below

    @property
    def tree(self) -> Path:
        """The folder of all contents, named by their SHA-256."""
        return self.folder / manifests.TREE

    @property
    def known(self) -> Path:
        """What is remembered of the files of which the database has no SHA-256."""
        return self.folder / "known.jsonl"

    @property
    def proven(self) -> Path:
        """What is remembered of the tree itself (``tree``)."""
        return self.folder / "proven.json"

    @property
    def damaged(self) -> Path:
        """Where files of the tree go that are not what their names say."""
        return self.folder / "damaged"

    def restoring(self, snapshot: str) -> Path:
        """Return the folder in which a backup lies while it is restored into an installation."""
        return self.folder / f"{_RESTORE}{snapshot[:8]}"

    def clear_restores(self, kept: Path | None = None) -> None:
        """Remove what restores that were cut off have left, but for one of them."""
        for folder in self.folder.glob(f"{_RESTORE}*"):
            if folder != kept:
                shutil.rmtree(folder, ignore_errors=True)

    def make(self) -> None:
        """Make the folder; raise ``BackupError``."""
        try:
            make_folder(self.folder)
            make_folder(self.tree)
        except OSError as error:
            raise BackupError(
                f"the folder of the backup, {self.folder}, cannot be used: {error.strerror}",
                hint="Mount a folder that can be written, and name it in PAPERFLEET_BACKUP_FOLDER",
            ) from None

    def clear(self) -> None:
        """Remove the database part, which holds secrets, and what lies beside it."""
        shutil.rmtree(self.folder / DATA, ignore_errors=True)

    def begin(self) -> Path:
        """Make an empty folder for the database part, and return it."""
        self.clear()
        make_folder(self.folder / DATA)
        make_folder(self.folder / DATABASE)
        return self.folder / DATABASE

    def write(self, below: str, lines: Iterable[str]) -> None:
        """Write one of the files of ``DATA``."""
        with open_text(self.folder / below, "w") as stream:
            stream.writelines(lines)

    def manifest(self) -> Manifest:
        """Return the manifest that lies here; raise ``BackupError``."""
        try:
            with (self.folder / MANIFEST).open(encoding="utf-8") as lines:
                return manifests.parse(lines)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise BackupError(f"{self.folder / MANIFEST} cannot be read: {reason}") from None


@contextmanager
def alone(place: BackupPlace, work: str = "backup") -> Iterator[None]:
    """Let nobody else do such work in the folder of the backup meanwhile.

    Raises ``BackupError`` if somebody does.
    """
    with open_lease_store(f"file:{quote(str(place.folder / 'leases'))}") as store:
        try:
            held = store.acquire(work, ttl=_LEASE_SECONDS, timeout=0)
        except LeaseTimeoutError as error:
            raise BackupError(
                f"another {work} works in {place.folder}: {error.message}",
                hint="Wait until it has ended. A process that was killed is forgotten after"
                f" {_LEASE_SECONDS:g} seconds",
            ) from None
        with held:
            yield
