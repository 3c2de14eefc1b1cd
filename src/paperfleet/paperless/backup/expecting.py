"""Which files a backup has to have: those that the export of the database names.

Not those that the database names when it is asked later: it goes on changing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from django.apps import apps

from paperfleet.backup.records import records
from paperfleet.paperless.areas import ARCHIVE, AREAS, BUNDLES, LOGO, ORIGINALS, THUMBNAILS
from paperfleet.paperless.backup import trash
from paperfleet.paperless.documents import rows
from paperfleet.paperless.documents.rows import Expected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_NAMES = {
    ORIGINALS: "__exported_file_name__",
    ARCHIVE: "__exported_archive_name__",
    THUMBNAILS: "__exported_thumbnail_name__",
    BUNDLES: "__exported_share_link_bundle_name__",
}
"""Where a record says which name ``document_importer`` looks for (``documents/settings.py``)."""
_FIELDS = ("filename", "archive_filename", "checksum", "archive_checksum", "mime_type")
_DOCUMENT, _BUNDLE = "documents.document", "documents.sharelinkbundle"
_CONFIGURATION = "paperless.applicationconfiguration"


class _ExportedDocument:
    """A document as far as its files go; a row of Django's for each would cost the most of all."""

    def __init__(self, number: Any, fields: Mapping[str, Any]) -> None:  # noqa: ANN401  # a primary key
        self.pk = number
        self._fields = fields
        self.filename, self.checksum = fields.get("filename"), fields.get("checksum")
        self.archive_filename = fields.get("archive_filename")
        self.archive_checksum = fields.get("archive_checksum")

    @property
    def source_path(self) -> Path:
        """Where paperless-ngx looks for its original."""
        values = {name: self._fields[name] for name in _FIELDS if name in self._fields}
        document: Any = apps.get_model("documents", "Document")(pk=self.pk, **values)
        path: Path = document.source_path
        return path


class ExportedFile(NamedTuple):
    """A file that the export names; ``name`` is the one for ``document_importer``, or empty."""

    file: Expected
    name: str


class ExportedRows(NamedTuple):
    """What an export has: how many documents, with trash and versions, and every file's name."""

    documents: int
    files: list[ExportedFile]


def areas_of(*, thumbnails: bool) -> list[str]:
    """Return the areas that rows name; thumbnails follow from them, and may be left out."""
    named = [area.key for area in AREAS.values() if area.named]
    return [key for key in named if thumbnails or key != THUMBNAILS]


def exported(folder: Path, areas: Collection[str]) -> ExportedRows:
    """Return what the export in ``folder`` names in these areas; raise ``BackupError``."""
    documents, files = 0, []
    for path in filter(Path.exists, (folder / "manifest.json", folder / trash.FILE)):
        with path.open(encoding="utf-8") as stream:
            for record in records(stream):
                documents += record.get("model") == _DOCUMENT
                for file in _files(record, areas):
                    name = record.get(_NAMES.get(file.area, ""))
                    files.append(ExportedFile(file, str(name or "")))
    return ExportedRows(documents, files)


def _files(record: Mapping[str, Any], areas: Collection[str]) -> Iterator[Expected]:
    kind, fields, number = record.get("model"), record.get("fields", {}), record.get("pk")
    if kind == _DOCUMENT:
        yield from rows.of_document(_ExportedDocument(number, fields), areas)
    elif kind == _BUNDLE and BUNDLES in areas and fields.get("file_path"):
        yield Expected(BUNDLES, rows.normal(fields["file_path"]), int(number or 0))
    elif kind == _CONFIGURATION and LOGO in areas:
        yield from rows.of_logo(int(number or 0), str(fields.get("app_logo") or ""))
