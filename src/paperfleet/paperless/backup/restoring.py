"""Filling an empty installation with a backup: the files first, then the rows that name them.

So there is no moment at which a row names a file that is not there, and a restore that was cut off
goes on where it was: files that are there and right stay.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

from django.core.management import call_command
from django.db import transaction

from paperfleet.backup import place as places
from paperfleet.backup import points
from paperfleet.backup.instance import require_version
from paperfleet.backup.manifest import tree_name
from paperfleet.errors import BackupError
from paperfleet.paperless.areas import THUMBNAILS
from paperfleet.paperless.backup import trash
from paperfleet.paperless.backup.bringing import THREADS
from paperfleet.paperless.backup.expecting import areas_of
from paperfleet.paperless.care import setup
from paperfleet.paperless.documents import rows
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.copying import Copier

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.backup.manifest import BackedUpFile, Manifest
    from paperfleet.backup.place import BackupPlace
    from paperfleet.paperless.homes import Home
    from paperfleet.storage.full import FullStorage

_SHOWN = 5


def restore(
    place: BackupPlace, version: str, listener: Callable[[BackedUpFile], object]
) -> Manifest:
    """Bring all of a backup into this installation; return what it has.

    Raises ``BackupError`` for an installation of another version or with other documents,
    ``StorageError`` for a storage that is out of reach.
    """
    manifest = place.manifest()
    require_version(manifest.paperless, version)
    has_rows = require_empty(manifest)
    home = setup.everything(create=True)
    with home, full(LocalBackend(place.tree, create=False)) as tree:
        if setup.configured() is not None:
            setup.require_ours(home, setup.installation(), take=True)
        _bring(manifest, home, tree, listener)
    points.passed("restore.filled")
    if has_rows:
        call_command("document_index", "reindex", no_progress_bar=True)
    else:
        folder = place / places.DATABASE
        with transaction.atomic() if trash.is_in(folder) else nullcontext():
            call_command("document_importer", str(folder), data_only=True, no_progress_bar=True)
            trash.restore(folder)
    points.passed("restore.imported")
    require_all(manifest)
    points.passed("restore.proven")
    return manifest


def require_empty(manifest: Manifest) -> bool:
    """Say whether the rows of this very backup are here already; raise for any other ones."""
    if not rows.all_documents().exists():
        return False
    if _named() != _named_by(manifest):
        raise BackupError(
            "this installation has documents, and a restore is for an empty one",
            hint="Restore into a new one; or into a folder (paperfleet backup restore --to)",
        )
    return True


def require_all(manifest: Manifest) -> None:
    """Raise ``BackupError`` unless the database names just the files that were restored."""
    found, wanted = _named(), _named_by(manifest)
    if found != wanted:
        shown = ", ".join("/".join(map(str, one)) for one in sorted(found ^ wanted)[:_SHOWN])
        raise BackupError(
            f"after the import the database names other files than the backup has: {shown}",
            hint="Do not use this installation; restore another backup into a new one",
        )


def _named() -> set[tuple[str, str, int]]:
    files = rows.expected(areas_of(thumbnails=False))
    return {(file.area, file.name, file.row) for file in files}


def _named_by(manifest: Manifest) -> set[tuple[str, str, int]]:
    """Return what rows name; thumbnails follow from them, and may have been left out."""
    named = (file for file in manifest.files if file.role != THUMBNAILS)
    return {(file.role, file.key, file.document) for file in named}


def _bring(
    manifest: Manifest,
    home: Home,
    tree: FullStorage,
    listener: Callable[[BackedUpFile], object],
) -> None:
    copiers = {
        area: Copier(tree, home.area(area), Bandwidth(None))
        for area in {file.role for file in manifest.files}
    }

    def bring(file: BackedUpFile) -> BackedUpFile:
        source = tree.stat(tree_name(file.sha256))._replace(sha256=file.sha256)
        area = home.area(file.role)
        there = area.find(file.key)
        if there is None:
            copiers[file.role].bring_as(source, file.key, None)
            points.passed("restore.brought")
        elif (there.sha256 or area.content_sha256(file.key)) != file.sha256:
            raise BackupError(
                f"{home.label} has another file under {file.role}/{file.key}, and nothing there is"
                " ever replaced",
                hint="Restore into an empty storage",
            )
        return file

    with ThreadPoolExecutor(THREADS, thread_name_prefix="restore") as pool:
        for file in pool.map(bring, [file for file in manifest.files if file.sha256]):
            listener(file)
