"""Which files of a document are mirrored, and what they are to be called. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from paperfleet.documents.naming import FileKey, Wish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.documents.records import DocumentFile, DocumentFiles, Kind, ListedDocument

Content = Literal["archive", "original", "both"]
_ARCHIVE_ENDING = ".pdf"
_FOLDERS: Mapping[Kind, str] = {"original": "originals/", "archive": "archive/"}
"""Of ``both``, as in a bulk download of paperless-ngx (``documents/bulk_download.py``)."""


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document with all that was asked about it.

    ``hidden``: the user of the token may not see it any more.
    """

    listed: ListedDocument
    files: DocumentFiles
    hidden: bool = False

    def file(self, kind: Kind | None) -> DocumentFile:
        """Return one of its files; None is the archive, else the original."""
        if kind == "original" or self.files.archive is None:
            return self.files.original
        return self.files.archive

    def kind(self, kind: Kind | None) -> Kind:
        """Return which file None stands for."""
        return kind or ("original" if self.files.archive is None else "archive")


class Rules(NamedTuple):
    """What a mirror was told to bring."""

    content: Content = "archive"

    def wishes(self, document: KnownDocument) -> dict[FileKey, Wish | None]:
        """Return what each file of a document is to be called, None for one that is not to be."""
        number, has_archive = document.listed.number, document.files.archive is not None
        chosen: dict[Kind | None, bool] = {
            None: self.content == "archive",
            "original": self.content in {"original", "both"},
            "archive": self.content == "both" and has_archive,
        }
        return {
            FileKey(number, kind): _wish(document, kind, both=self.content == "both")
            if wanted
            else None
            for kind, wanted in chosen.items()
        }


def keys_of(number: int) -> tuple[FileKey, ...]:
    """Return every file that a document may have."""
    return FileKey(number, None), FileKey(number, "original"), FileKey(number, "archive")


def _wish(document: KnownDocument, kind: Kind | None, *, both: bool) -> Wish:
    """Return the name of a file: paperless-ngx's own, with the ending of what is in it."""
    folder = _FOLDERS[document.kind(kind)] if both else ""
    stem, ending = _split(document.files.name)
    if document.kind(kind) == "archive":
        return Wish(folder + stem, _ARCHIVE_ENDING)
    return Wish(folder + stem, _split(document.files.original.name)[1] or ending)


def _split(name: str) -> tuple[str, str]:
    """Part a name before the last dot of its last segment: 'a/b.c.pdf' gives 'a/b.c', '.pdf'."""
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    if not stem:
        return name, ""
    return folder + slash + stem, dot + ending
