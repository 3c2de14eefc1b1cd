"""Collecting a backup: the export of the database, then every file that it names.

paperless-ngx goes on working meanwhile. A file that was renamed since the export is found by its
row; where one was deleted or overwritten, the database is exported once more, which takes seconds,
as the tree has all other files by then. What the last export names is a state that was.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files as resources
from typing import TYPE_CHECKING, NamedTuple

from django.core.management import call_command

from paperfleet.backup import manifest as manifests
from paperfleet.backup import place as places
from paperfleet.backup.manifest import Manifest
from paperfleet.backup.variables import without_secrets
from paperfleet.errors import BackupError
from paperfleet.paperless import recorded
from paperfleet.paperless.activation import documents
from paperfleet.paperless.areas import AREAS, THUMBNAILS
from paperfleet.paperless.backup.bringing import Bringing
from paperfleet.paperless.backup.expecting import exported
from paperfleet.paperless.care import setup
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.transfer import receipt as receipts
from paperfleet.transfer.progress import Progress
from paperfleet.transfer.receipt import BY_READING, Receipt, ReceiptEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from paperfleet.backup.manifest import BackedUpFile
    from paperfleet.backup.place import BackupPlace
    from paperfleet.paperless.backup.bringing import BroughtFile
    from paperfleet.paperless.backup.expecting import ExportedFile

_PASSES = 4


@dataclass
class Collection:
    """What was collected; ``new`` files and ``new_size`` bytes were not in the tree before.

    ``passes`` is how often the database was exported, ``pruned`` how many contents left the tree.
    """

    manifest: Manifest
    new: int = 0
    new_size: int = 0
    passes: int = 0
    pruned: int = 0


def collect(
    place: BackupPlace,
    *,
    thumbnails: bool,
    planned: Callable[[int], object],
    listener: Callable[[BroughtFile], object],
) -> Collection:
    """Collect a backup in a place that nobody else uses now.

    ``planned`` is told how many files each pass has. Raises ``BackupError`` when the export fails
    or names what is gone, ``StorageError`` for a storage that is out of reach.
    """
    documents.require_usable()  # not a storage of another database, nor a half filled one
    home = setup.everything()
    tree = full(LocalBackend(place.tree, create=False))
    new: dict[str, int] = {}
    passes = 0
    with home, tree, Progress(place.known) as known:
        bringing = Bringing(home, tree, known)
        bringing.look()
        while True:
            passes += 1
            listed = _export(place.begin(), thumbnails=thumbnails)
            planned(len(listed.files))
            brought = list(bringing.bring(listed.files, listener))
            new |= {one.file.sha256: one.file.size for one in brought if one.is_new}
            if passes == _PASSES or not any(one.is_changed for one in brought):
                break
        entries = tuple(one.file for one in brought)
        manifest = Manifest(
            as_of=listed.as_of,
            paperless=listed.version,
            paperfleet=_own_version(),
            identity=identity(),
            source=home.label,
            documents=listed.documents,
            files=entries,
        )
        pruned = 0 if manifest.faults else bringing.prune(one.sha256 for one in entries)
    _write(place, manifest)
    return Collection(manifest, len(new), sum(new.values()), passes, pruned)


def identity() -> str:
    """Return what this database is called; empty where our tables were never made."""
    if recorded.tables() is not recorded.Tables.CURRENT:
        return ""
    return str(recorded.installation().identity)


def _own_version() -> str:
    try:
        return version("paperfleet")
    except PackageNotFoundError:  # it is on the path of modules, and not installed
        return ""


class _Exported(NamedTuple):
    """The database as it was at ``as_of`` (ISO 8601), and what it names."""

    as_of: str
    version: str
    documents: int
    files: list[ExportedFile]


def _export(folder: Path, *, thumbnails: bool) -> _Exported:
    """Export the database into an empty folder; the media lock is held for that alone."""
    as_of = datetime.now(UTC).isoformat(timespec="seconds")
    options: dict[str, object] = {} if thumbnails else {"no_thumbnail": True}
    call_command("document_exporter", str(folder), data_only=True, no_progress_bar=True, **options)
    areas = [
        area.key for area in AREAS.values() if area.named and (thumbnails or area.key != THUMBNAILS)
    ]
    try:
        about = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        return _Exported(as_of, str(about["version"]), *exported(folder, areas))
    except (OSError, ValueError, KeyError) as error:
        raise BackupError(
            f"what document_exporter wrote cannot be read: {error!r}",
            hint="Run document_exporter --data-only by hand and look at what it says",
        ) from None


def _write(place: BackupPlace, manifest: Manifest) -> None:
    place.write(places.MANIFEST, manifests.lines(manifest))
    receipt = Receipt(manifest.as_of, manifest.source, manifests.TREE, _entries(manifest.files))
    place.write(places.RECEIPT, receipts.lines(receipt))
    shown = json.dumps(without_secrets(os.environ), indent=2, sort_keys=True)
    place.write(places.CONFIGURATION, [shown, "\n"])
    script = resources("paperfleet.backup") / "lay_out.py"
    place.write(places.SCRIPT, [script.read_text(encoding="utf-8")])


def _entries(files: Iterable[BackedUpFile]) -> tuple[ReceiptEntry, ...]:
    found = {file.path: file for file in files if file.sha256}
    return tuple(
        ReceiptEntry(path, file.size, file.sha256, BY_READING)
        for path, file in sorted(found.items())
    )
