"""The backups that a repository has, as rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from paperfleet.backup import manifest as manifests
from paperfleet.backup import place as places
from paperfleet.backup.tags import COMPLETE, OURS
from paperfleet.errors import BackupError

if TYPE_CHECKING:
    from paperfleet.backup.manifest import Manifest
    from paperfleet.backup.repository import Repository, Snapshot

LATEST = "latest"
_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""By so much clocks of machines may differ before it matters."""


class BackupRow(NamedTuple):
    """One backup: ``as_of`` is when the database was so (ISO 8601), sizes in bytes.

    ``is_ahead`` says that it is of a time to come: the clock was wrong then, or is so now.
    """

    snapshot: str
    name: str
    as_of: str
    paperless: str
    documents: int
    files: int
    size: int
    complete: bool
    is_ahead: bool = False


def rows(repository: Repository, name: str = "") -> list[BackupRow]:
    """Return the backups of one installation, or of all, the oldest first."""
    return [_row(one) for one in repository.snapshots(host=name, tags=(OURS,))]


def chosen(repository: Repository, name: str, snapshot: str) -> BackupRow:
    """Return the backup that starts with a number, or the last complete one for ``latest``.

    Raises ``BackupError``.
    """
    found = rows(repository, name if snapshot == LATEST else "")
    if snapshot == LATEST:
        found = [row for row in found if row.complete]
        found.sort(key=lambda row: not row.is_ahead)  # nobody knows which of those was the last
    else:
        found = [row for row in found if row.snapshot.startswith(snapshot)]
    if not found:
        what = f"complete backup of {name!r}" if snapshot == LATEST else f"backup {snapshot!r}"
        raise BackupError(
            f"there is no {what} in {repository.label}",
            hint="`paperfleet backup list --all` shows what there is",
        )
    if snapshot != LATEST and len(found) > 1:
        raise BackupError(f"several backups start with {snapshot!r}", hint="Give more of it")
    return found[-1]


def manifest_of(repository: Repository, snapshot: str) -> Manifest:
    """Return the manifest that lies in a snapshot; raise ``BackupError``."""
    text = repository.read(snapshot, f"/{places.MANIFEST}").decode(errors="replace")
    return manifests.parse(text.splitlines(keepends=True))


def is_ahead(one: Snapshot) -> bool:
    """Say whether a snapshot is of a time to come, by this machine's clock."""
    return one.moment > datetime.now(UTC) + _CLOCKS_DIFFER


def _row(one: Snapshot) -> BackupRow:
    told = dict(tag.partition("=")[::2] for tag in one.tags if "=" in tag)
    return BackupRow(
        snapshot=one.number,
        name=one.host,
        as_of=told.get("as-of") or one.time,
        paperless=told.get("paperless", ""),
        documents=int(told.get("documents") or 0),
        files=int(told.get("files") or 0),
        size=int(told.get("bytes") or 0),
        complete=COMPLETE in one.tags,
        is_ahead=is_ahead(one),
    )
