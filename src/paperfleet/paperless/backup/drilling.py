"""Looking at a throw-away installation into which a backup was restored.

Each file is compared with the manifest and, as a manifest may lie, with the checksum that the
database has.
"""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, BinaryIO, cast

from django.conf import settings

from paperfleet.backup.drilling import LookedAt
from paperfleet.errors import BackupError, NotFoundError, StorageError
from paperfleet.paperless.activation import documents
from paperfleet.paperless.areas import ARCHIVE, BUNDLES, LOGO, NOTED, ORIGINALS, THUMBNAILS
from paperfleet.paperless.backup import searching
from paperfleet.paperless.backup.pdfs import Opened, opened
from paperfleet.paperless.care import setup
from paperfleet.paperless.documents import digests, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from paperfleet.backup.manifest import BackedUpFile, Manifest
    from paperfleet.paperless.documents.rows import Expected
    from paperfleet.paperless.homes import Home

WHOLE = 1000
"""So many documents are all looked at."""
_SHARE = 100
"""Of more, one in so many is, and no fewer than those."""
_AT_ONCE = 500
_PDF = "application/pdf"
_FOLDERS = ("DATA_DIR", "MEDIA_ROOT", "CONSUMPTION_DIR", "SCRATCH_DIR", "INDEX_DIR")


def require_throw_away(folder: Path) -> None:
    """Raise ``BackupError`` unless this installation lies in a folder, with all that it has."""
    root, database = folder.resolve(), settings.DATABASES["default"]
    outside = [
        f"{name} is {place}"
        for name in _FOLDERS
        if not Path(place := getattr(settings, name)).resolve().is_relative_to(root)
    ]
    if not database["ENGINE"].endswith("sqlite3"):
        outside.append(f"the database is {database['ENGINE']}")
    elif not Path(database["NAME"]).resolve().is_relative_to(root):
        outside.append(f"the database is {database['NAME']}")
    if documents.storage is not None:
        outside.append("documents lie in a storage")
    if outside:
        raise BackupError(
            f"this is no throw-away installation: {', '.join(outside)}",
            hint="Run paperfleet backup drill, which makes one. Nothing was touched",
        )


def sampled(numbers: Sequence[int], random: Random) -> list[int]:
    """Return the documents to look at: all of few, at least one in a hundred of many."""
    count = max(WHOLE, math.ceil(len(numbers) / _SHARE))
    return list(numbers) if len(numbers) <= count else sorted(random.sample(numbers, count))


def look(
    manifest: Manifest,
    *,
    seed: int,
    known: Collection[int],
    planned: Callable[[int], object],
    listener: Callable[[], object],
) -> LookedAt:
    """Compare, open and search; ``planned`` is told of how many documents, ``listener`` of each.

    ``known`` are documents whose PDF was broken before.
    """
    random = Random(seed)  # noqa: S311  # it chooses documents, and is to be repeated
    numbers = sorted(rows.all_documents().values_list("pk", flat=True))
    sample = sampled(numbers, random)
    planned(len(sample))
    with setup.everything() as home:
        looking = _Looking(home, manifest, frozenset(known))
        for first in range(0, len(sample), _AT_ONCE):
            chunk = rows.all_documents().filter(pk__in=sample[first : first + _AT_ONCE])
            for document in chunk.order_by("pk"):
                for file in rows.of_document(document, looking.areas):
                    looking.look(file, is_pdf=_is_pdf(file, document.mime_type))
                listener()
        for file in rows.expected({BUNDLES, LOGO}):
            looking.look(file, is_pdf=False)
    searched = searching.search(sample, random)
    return LookedAt(
        documents=len(numbers),
        compared=len(looking.compared),
        files=looking.files,
        pdfs=looking.pdfs[Opened.FINE],
        locked=looking.pdfs[Opened.LOCKED],
        known=looking.pdfs[Opened.BROKEN],
        searches=searched.found,
        wrong=[*looking.wrong, *searched.wrong],
    )


def _is_pdf(file: Expected, kind: str) -> bool:
    return file.area == ARCHIVE or (file.area == ORIGINALS and kind == _PDF)


class _Looking:
    """Looks at one file after the other, and counts."""

    def __init__(self, home: Home, manifest: Manifest, known: frozenset[int]) -> None:
        self._home, self._known = home, known
        self._named: dict[tuple[str, int], BackedUpFile] = {
            (file.role, file.document): file for file in manifest.files
        }
        has_thumbnails = any(file.role == THUMBNAILS for file in manifest.files)
        self.areas = NOTED if has_thumbnails else NOTED - {THUMBNAILS}
        self.compared: set[int] = set()
        self.files = 0
        self.pdfs = dict.fromkeys(Opened, 0)
        self.wrong: list[str] = []

    def look(self, file: Expected, *, is_pdf: bool) -> None:
        """Compare a file, and open it if it is a PDF."""
        wrong = list(self._differences(file))
        if is_pdf and not wrong:
            wrong += self._unopened(file)
        self.wrong += [f"document {file.row}, {file.area}/{file.name}: {text}" for text in wrong]

    def _differences(self, file: Expected) -> Iterator[str]:
        named = self._named.get((file.area, file.row))
        if named is None:
            yield "the manifest of the backup does not name it"
            return
        try:
            found = digests.read(self._home.area(file.area), file.name)
        except NotFoundError:
            yield "it is missing after the import"
            return
        except StorageError as error:
            yield error.reason
            return
        self.files += 1
        if file.area in NOTED:
            self.compared.add(file.row)
        if found.sha256 != named.sha256:
            yield "it has other bytes than the manifest of the backup says"
        if digests.is_checksum(file.checksum) and found.like(file.checksum) != file.checksum:
            yield "it has other bytes than the database has a checksum of"

    def _unopened(self, file: Expected) -> Iterator[str]:
        with closing(self._home.area(file.area).open(file.name)) as stream:
            what = opened(cast("BinaryIO", stream))
        if what is not Opened.BROKEN or file.row in self._known:
            self.pdfs[what] += 1
        else:
            yield f"{what.value} (was it ever? --known-broken {file.row})"
