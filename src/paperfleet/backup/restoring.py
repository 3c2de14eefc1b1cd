"""``paperfleet backup restore``: into an empty installation of the same version, or a folder."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from paperfleet.backup.manifest import TREE, tree_name
from paperfleet.backup.place import BackupPlace
from paperfleet.errors import BackupError
from paperfleet.storage.hashing import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from paperfleet.backup.instance import Instance
    from paperfleet.backup.manifest import BackedUpFile, Manifest
    from paperfleet.backup.restic import Restic
    from paperfleet.backup.snapshots import BackupRow

_THREADS: Final = 4
_SHOWN: Final = 5


@dataclass(frozen=True)
class Restoring:
    """Restores one backup of a repository; every method raises ``BackupError``."""

    restic: Restic
    row: BackupRow

    def lay_out(self, folder: Path) -> Manifest:
        """Bring the whole backup to a folder, and prove every file by its SHA-256.

        What an earlier run has brought and is right stays, when it was the same backup.
        """
        self.restic.restore(self.row.snapshot, folder)
        manifest = BackupPlace(folder).manifest()
        if wrong := wrong_files(folder, manifest):
            raise BackupError(
                f"{len(wrong):,} files of backup {self.row.snapshot[:8]} are not what was backed"
                f" up: {', '.join(wrong[:_SHOWN])}",
                hint="Use another backup, and run paperfleet backup verify --read 100%",
            )
        return manifest

    def into(
        self, instance: Instance, place: BackupPlace, say: Callable[[str], object]
    ) -> Manifest:
        """Fill an empty installation; refuse one that has documents, or another version."""
        place.make()
        folder = place / f"restore-{self.row.snapshot[:8]}"
        BackupPlace(folder).make()
        state = instance.state(folder)
        if state.version != self.row.paperless:
            raise BackupError(
                f"the backup is of paperless-ngx {self.row.paperless}, and this is {state.version}",
                hint=f"Install paperless-ngx {self.row.paperless}, restore, and update then",
            )
        say(f"bringing {self.row.files:,} files from {self.restic.label}")
        manifest = self.lay_out(folder)
        instance.restore(folder)
        shutil.rmtree(folder)
        return manifest


def wrong_files(folder: Path, manifest: Manifest) -> list[str]:
    """Return the keys of the files whose bytes below ``folder`` are missing or other ones."""

    def is_wrong(file: BackedUpFile) -> bool:
        return _digest(folder / TREE / tree_name(file.sha256)) != file.sha256

    files = {file.sha256: file for file in manifest.files if file.sha256}.values()
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(zip(files, pool.map(is_wrong, files), strict=True))
    return [f"{file.role}/{file.key}" for file, wrong in found if wrong]


def _digest(path: Path) -> str:
    digest = sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
