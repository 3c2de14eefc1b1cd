"""``paperfleet backup verify``: whether repository and tree hold what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.backup.manifest import tree_name
from paperfleet.backup.snapshots import manifest_of
from paperfleet.backup.tree import prove
from paperfleet.storage.hashing import sha256_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paperfleet.backup.manifest import BackedUpFile
    from paperfleet.backup.place import BackupPlace
    from paperfleet.backup.repository import Repository
    from paperfleet.backup.snapshots import BackupRow
    from paperfleet.backup.tree import ProvenTree


class VerifiedBackup(NamedTuple):
    """What was found: ``files`` of the manifest, and those of them that the snapshot has not.

    ``contents`` has a file for each SHA-256 that the manifest names. ``wrong`` are in the snapshot
    with other bytes than were to be backed up; ``read`` of its files were looked at for that.
    """

    row: BackupRow
    contents: dict[str, BackedUpFile]
    files: int
    missing: list[str]
    read: int = 0
    wrong: list[str] = []  # noqa: RUF012  # of a tuple, which nobody changes

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.row.complete and not self.missing and not self.wrong


def verify(repository: Repository, row: BackupRow, *, subset: str) -> VerifiedBackup:
    """Check the repository, and one backup against its manifest.

    ``subset`` is how much of the repository is read and compared with its own checksums ("100%",
    "1/7"), empty for its structure alone. Raises ``RepositoryDamagedError``, ``BackupError``.
    """
    repository.check(subset=subset)
    there = {file.path: file.size for file in repository.files(row.snapshot)}
    named = [file for file in manifest_of(repository, row.snapshot).files if file.sha256]
    missing = [_shown(file) for file in named if there.get(f"/{file.path}") != file.size]
    return VerifiedBackup(row, {file.sha256: file for file in named}, len(named), missing)


def verify_tree(
    place: BackupPlace,
    *,
    planned: Callable[[int, int], object],
    listener: Callable[[int], object],
) -> ProvenTree:
    """Read the whole tree on this host; what is damaged goes out of it. Raises ``BackupError``."""
    place.make()
    return prove(place, "", planned=planned, listener=listener)


def read_all(
    repository: Repository,
    found: VerifiedBackup,
    *,
    planned: Callable[[int, int], object],
    listener: Callable[[int], object],
) -> VerifiedBackup:
    """Read every file that a backup has, as a restore does, and compare it with its SHA-256."""
    wanted = found.contents
    planned(len(wanted), sum(file.size for file in wanted.values()))
    right = set()
    for name, size, sha256 in repository.digests(found.row.snapshot):
        right.add(sha256 if name == sha256 else "")
        listener(size)
    return _with_wrong(found, wanted, right)


def read_some(
    repository: Repository, found: VerifiedBackup, damaged: Iterable[str]
) -> VerifiedBackup:
    """Read from a backup what is damaged in the tree; ``damaged`` are names in it."""
    names = set(damaged)
    wanted = {sha256: file for sha256, file in found.contents.items() if tree_name(sha256) in names}
    right = set()
    for file in wanted.values():
        with repository.dumped(found.row.snapshot, f"/{file.path}") as stream:
            right.add(sha256_in(stream))
    return _with_wrong(found, wanted, right)


def _with_wrong(
    found: VerifiedBackup, wanted: dict[str, BackedUpFile], right: set[str]
) -> VerifiedBackup:
    wrong = [_shown(file) for sha256, file in wanted.items() if sha256 not in right]
    wrong = [name for name in wrong if name not in found.missing]
    return found._replace(read=len(wanted), wrong=wrong)


def _shown(file: BackedUpFile) -> str:
    return f"document {file.document}, {file.role}/{file.key}"
