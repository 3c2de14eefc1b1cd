"""``paperfleet backup verify``: whether the repository holds what its backups say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.backup.snapshots import manifest_of

if TYPE_CHECKING:
    from paperfleet.backup.restic import Restic
    from paperfleet.backup.snapshots import BackupRow


class VerifiedBackup(NamedTuple):
    """What was found: ``files`` of the manifest, and those of them that the snapshot has not."""

    row: BackupRow
    files: int
    missing: list[str]


def verify(restic: Restic, row: BackupRow, *, subset: str) -> VerifiedBackup:
    """Check the repository, and one backup against its manifest.

    ``subset`` is how much of the repository is read and compared with its own checksums ("100%",
    "1/7"), empty for its structure alone. Raises ``RepositoryDamagedError``, ``BackupError``.
    """
    restic.check(subset=subset)
    there = {file.path: file.size for file in restic.files(row.snapshot)}
    manifest = manifest_of(restic, row.snapshot)
    named = [file for file in manifest.files if file.sha256]
    missing = [
        f"{file.role}/{file.key}" for file in named if there.get(f"/{file.path}") != file.size
    ]
    return VerifiedBackup(row, len(named), missing)
