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
from importlib.metadata import version
from importlib.resources import files as resources
from typing import TYPE_CHECKING

from django.core.management import call_command

from paperfleet.backup import manifest as manifests
from paperfleet.backup import place as places
from paperfleet.backup.manifest import Manifest
from paperfleet.backup.variables import without_secrets
from paperfleet.errors import BackupError
from paperfleet.paperless import recorded
from paperfleet.paperless.areas import AREAS, THUMBNAILS
from paperfleet.paperless.backup.bringing import Bringing
from paperfleet.paperless.backup.expecting import documents_in, exported
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
    home = setup.everything()
    wanted = [
        area.key for area in AREAS.values() if area.named and (thumbnails or area.key != THUMBNAILS)
    ]
    tree = full(LocalBackend(place.tree, create=False))
    new: dict[str, int] = {}
    with home, tree, Progress(place.known) as known:
        bringing = Bringing(home, tree, known)
        bringing.look()
        for number in range(1, _PASSES + 1):
            folder = place.begin()
            as_of = datetime.now(UTC).isoformat(timespec="seconds")
            _export(folder, thumbnails=thumbnails)
            listed = list(exported(folder, wanted))
            planned(len(listed))
            brought = list(bringing.bring(listed, listener))
            new |= {one.file.sha256: one.file.size for one in brought if one.is_new}
            if not any(one.is_changed for one in brought):
                break
        entries = tuple(one.file for one in brought)
        manifest = Manifest(
            as_of,
            _version_of(folder),
            version("paperfleet"),
            identity(),
            home.label,
            documents_in(folder),
            entries,
        )
        pruned = 0 if manifest.faults else bringing.prune(one.sha256 for one in entries)
    _write(place, manifest)
    return Collection(manifest, len(new), sum(new.values()), number, pruned)


def identity() -> str:
    """Return what this database is called; empty where our tables were never made."""
    if recorded.tables() is not recorded.Tables.CURRENT:
        return ""
    return str(recorded.installation().identity)


def _export(folder: Path, *, thumbnails: bool) -> None:
    options: dict[str, object] = {} if thumbnails else {"no_thumbnail": True}
    call_command("document_exporter", str(folder), data_only=True, no_progress_bar=True, **options)
    if not (folder / "manifest.json").is_file():
        raise BackupError("document_exporter has written no manifest.json")


def _version_of(folder: Path) -> str:
    """Return the version of paperless-ngx that the importer will compare with its own."""
    try:
        return str(json.loads((folder / "metadata.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        raise BackupError("document_exporter has written no version into metadata.json") from None


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
