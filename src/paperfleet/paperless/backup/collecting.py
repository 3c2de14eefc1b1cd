"""Collecting a backup: the export of the database, then every file that it names.

paperless-ngx goes on working meanwhile. A file that was renamed since the export is found by its
row; where one was deleted or overwritten, the database is exported once more, which takes seconds,
as the tree has all other files by then. Where that does not end by itself, the last passes hold the
media lock, for which paperless-ngx waits before it deletes, renames or stores a file. What the last
export names is a state that was.
"""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files as resources
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from paperfleet.backup import manifest as manifests
from paperfleet.backup import place as places
from paperfleet.backup import points
from paperfleet.backup.manifest import Manifest
from paperfleet.backup.variables import without_secrets
from paperfleet.errors import BackupError
from paperfleet.paperless import ownership, recorded
from paperfleet.paperless.activation import documents
from paperfleet.paperless.backup.bringing import Bringing
from paperfleet.paperless.backup.expecting import areas_of
from paperfleet.paperless.backup.exporting import export, media_lock
from paperfleet.paperless.care import setup
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.transfer import receipt as receipts
from paperfleet.transfer.progress import Progress
from paperfleet.transfer.receipt import BY_READING, Receipt, ReceiptEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from paperfleet.backup.manifest import BackedUpFile
    from paperfleet.backup.place import BackupPlace
    from paperfleet.paperless.backup.bringing import BroughtFile
    from paperfleet.paperless.backup.exporting import Export

_FREE_PASSES = 3
"""Passes in which everybody goes on working; three more hold the media lock."""
_PASSES = 6
_LOCKED_SECONDS = 30.0
"""After so long no further pass begins that holds the media lock."""


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
    with _alone(place):
        documents.require_usable()  # not a storage of another database, nor a half filled one
        home = setup.everything()
        tree = full(LocalBackend(place.tree, create=False))
        with home, tree, Progress(place.known) as known:
            bringing = Bringing(home, tree, known)
            bringing.look()
            found = _until_it_fits(
                bringing, place, thumbnails=thumbnails, planned=planned, listener=listener
            )
            manifest = Manifest(
                as_of=found.export.as_of,
                paperless=found.export.version,
                paperfleet=_own_version(),
                identity=identity(),
                source=home.label,
                documents=found.export.documents,
                files=found.files,
            )
            contents = (file.sha256 for file in found.files)
            pruned = 0 if manifest.faults else bringing.prune(contents)
            points.passed("collect.pruned")
        _write(place, manifest)
        points.passed("collect.written")
    new = found.new
    return Collection(manifest, len(new), sum(new.values()), found.passes, pruned)


class _Fitting(NamedTuple):
    """The last export with the files that it names, and what the tree got until then.

    ``new`` has the size in bytes of each content by its SHA-256.
    """

    export: Export
    files: tuple[BackedUpFile, ...]
    new: dict[str, int]
    passes: int


def _until_it_fits(
    bringing: Bringing,
    place: BackupPlace,
    *,
    thumbnails: bool,
    planned: Callable[[int], object],
    listener: Callable[[BroughtFile], object],
) -> _Fitting:
    """Export and bring what the export names, until nothing has changed in between."""
    new: dict[str, int] = {}
    passes, held_since = 0, 0.0
    with ExitStack() as locked:
        while True:
            passes += 1
            if passes > _FREE_PASSES and not held_since:
                locked.enter_context(media_lock())
                held_since = time.monotonic()
                points.passed("collect.locked")
            bringing.watch(areas_of(thumbnails=thumbnails))
            found = export(place.begin(), thumbnails=thumbnails, locked=bool(held_since))
            points.passed("collect.exported")
            planned(len(found.files))
            brought = list(bringing.bring(found.files, listener))
            new |= {one.file.sha256: one.file.size for one in brought if one.is_new}
            points.passed("collect.brought")
            if not found.is_moved and not any(one.is_changed for one in brought):
                break
            if passes == _PASSES or time.monotonic() - (held_since or math.inf) > _LOCKED_SECONDS:
                if found.is_moved:
                    raise BackupError(
                        f"the trash has changed during each of {passes} exports of the database",
                        hint="Run it again when fewer documents go to the trash or come back",
                    )
                break
    return _Fitting(found, tuple(one.file for one in brought), new, passes)


@contextmanager
def _alone(place: BackupPlace) -> Iterator[None]:
    """Keep out what goes on of a run that was killed: its lease may be over, and this is not."""
    lock = FileLock(place / "collect.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BackupError(
            f"another process still collects a backup in {place.folder}",
            hint="It goes on after a run that was killed. Wait until it has ended, or end it",
        ) from None
    try:
        yield
    finally:
        lock.release()


def identity() -> str:
    """Return what this database is called; empty where our tables were never made."""
    if not ownership.has_tables():
        return ""
    return str(recorded.installation().identity)


def _own_version() -> str:
    try:
        return version("paperfleet")
    except PackageNotFoundError:  # it is on the path of modules, and not installed
        return ""


def _write(place: BackupPlace, manifest: Manifest) -> None:
    place.write(places.MANIFEST, manifests.lines(manifest))
    receipt = Receipt(manifest.as_of, manifest.source, manifests.TREE, _entries(manifest.files))
    place.write(places.RECEIPT, receipts.lines(receipt))
    shown = json.dumps(without_secrets(os.environ), indent=2, sort_keys=True)
    place.write(places.CONFIGURATION, [shown, "\n"])
    script = resources("paperfleet.backup") / "lay_out.py"
    place.write(places.SCRIPT, [script.read_text(encoding="utf-8")])


def _entries(files: Iterable[BackedUpFile]) -> tuple[ReceiptEntry, ...]:
    found = {file.sha256: file for file in files if file.sha256}
    return tuple(
        ReceiptEntry(file.path, file.size, sha256, BY_READING) for sha256, file in found.items()
    )
