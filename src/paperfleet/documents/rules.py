"""Which files of a document are mirrored, and what they are to be called. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from paperfleet.documents.naming import FileKey, Wish
from paperfleet.errors import ConfigurationError, NotAStorageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from paperfleet.documents.lists import ListKind, NameLists
    from paperfleet.documents.records import DocumentFile, DocumentFiles, Kind, ListedDocument

Content = Literal["archive", "original", "both"]
_ARCHIVE_ENDING = ".pdf"
_FOLDERS: Mapping[Kind, str] = {"original": "originals/", "archive": "archive/"}
"""Of ``both``, as in a bulk download of paperless-ngx (``documents/bulk_download.py``)."""
HIDDEN = (
    "the user of the token may not see this document any more; what is at the target stays as it is"
)
MISSING = "paperless-ngx has no file of this document in its own folder"


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document with all that was asked about it.

    ``hidden``: the user of the token may not see it any more. ``trashed``: it is in the trash.
    """

    listed: ListedDocument
    files: DocumentFiles
    hidden: bool = False
    trashed: bool = False

    def file(self, kind: Kind | None) -> DocumentFile:
        """Return one of its files; None is the archive, else the original."""
        if kind == "original" or self.files.archive is None:
            return self.files.original
        return self.files.archive

    def kind(self, kind: Kind | None) -> Kind:
        """Return which file None stands for."""
        return kind or ("original" if self.files.archive is None else "archive")


class Decision(NamedTuple):
    """What is to become of a document.

    ``wishes``: what each file is to be called, None for one that is not mirrored; a file that is
    not in it keeps the name that it has. ``trouble``: why the document is left as it is, '' if not.
    """

    wishes: Mapping[FileKey, Wish | None]
    trouble: str = ""


class Naming(Protocol):
    """What makes names: ``paperfleet.documents.templates.PathTemplate``."""

    @property
    def needs(self) -> tuple[ListKind, ...]:
        """The lists that it takes names of."""
        ...

    def render(
        self, document: ListedDocument, files: DocumentFiles, lists: NameLists
    ) -> str | None:
        """Return the path without an ending; None for the document's number."""
        ...


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents are mirrored: one of these tags, types, owners; empty means any."""

    tags: frozenset[str] = frozenset()
    document_types: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a mirror was told to bring.

    ``template`` None: the names of paperless-ngx's own folder. ``trash_folder`` '': what is in the
    trash leaves.
    """

    content: Content = "archive"
    template: Naming | None = None
    filters: Filters = Filters()
    trash_folder: str = ""

    @property
    def needs(self) -> tuple[ListKind, ...]:
        """The lists that have to be known to decide."""
        filtered: Iterable[ListKind] = self._filtered()
        named = self.template.needs if self.template else ()
        return tuple(dict.fromkeys((*filtered, *named)))

    def _filtered(self) -> list[ListKind]:
        chosen: dict[ListKind, Collection[str]] = {
            "tags": self.filters.tags,
            "document_types": self.filters.document_types,
            "users": self.filters.users,
        }
        return [kind for kind, names in chosen.items() if names]

    def check(self, lists: NameLists) -> None:
        """Raise ``NotAStorageError`` when a name of the filters is in no list.

        It may have been renamed, or be out of sight for the user of the token: then no document is
        taken for one that is not to be mirrored any more.
        """
        for kind in self._filtered():
            names = set(getattr(lists, kind).values())
            missing = sorted(set(getattr(self.filters, kind)) - names)
            if missing:
                raise NotAStorageError(
                    f"paperless-ngx shows the user of the token no {_WORDS[kind]} {missing[0]!r},"
                    " which the mirror is to be filtered by",
                    hint="Was it renamed? Then change the setting",
                )

    def decide(self, document: KnownDocument, lists: NameLists) -> Decision:
        """Return what is to become of a document."""
        if document.hidden:
            return Decision({}, HIDDEN)
        unknown = lists.unknown(document.listed, self.needs)
        if unknown:
            return Decision({}, f"the user of the token may not see the {unknown}, which it has")
        number, has_archive = document.listed.number, document.files.archive is not None
        mirrored = self._passes(document.listed, lists)
        mirrored = mirrored and bool(self.trash_folder or not document.trashed)
        chosen: dict[Kind | None, bool] = {
            None: self.content == "archive",
            "original": self.content in {"original", "both"},
            "archive": self.content == "both" and has_archive,
        }
        return Decision(
            {
                FileKey(number, kind): self._wish(document, kind, lists)
                if wanted and mirrored
                else None
                for kind, wanted in chosen.items()
            }
        )

    def _passes(self, document: ListedDocument, lists: NameLists) -> bool:
        filters = self.filters
        tags = {lists.tags[n] for n in document.tags} if filters.tags else set[str]()
        return (
            (not filters.tags or bool(tags & filters.tags))
            and _one_of(document.document_type, lists.document_types, filters.document_types)
            and _one_of(document.owner, lists.users, filters.users)
        )

    def _wish(self, document: KnownDocument, kind: Kind | None, lists: NameLists) -> Wish:
        """Return the name of a file, with the ending of what is in it."""
        folder = f"{self.trash_folder}/" if document.trashed else ""
        folder += _FOLDERS[document.kind(kind)] if self.content == "both" else ""
        stem, ending = _split(document.files.name)
        if self.template is not None:
            path = self.template.render(document.listed, document.files, lists)
            stem = path or f"{document.listed.number:07}"
        # paperless-ngx's own names are one to one but for their endings.
        own = self.template is None
        if document.kind(kind) == "archive":
            return Wish(folder + stem, _ARCHIVE_ENDING, own)
        return Wish(folder + stem, _split(document.files.original.name)[1] or ending, own)


_WORDS: Mapping[ListKind, str] = {"tags": "tag", "document_types": "type", "users": "owner"}


def names_in(text: str | None) -> frozenset[str]:
    """Return the names of a setting, which are parted by commas; raise ``ConfigurationError``."""
    if text is None:
        return frozenset()
    names = frozenset(name.strip() for name in text.split(","))
    if "" in names:
        raise ConfigurationError(f"{text!r} has an empty name in it", hint="Write a, b, c")
    return names


def nameless_name(number: int) -> str:
    """Return what a document is called that has no name yet."""
    return f"document {number}"


def keys_of(number: int) -> tuple[FileKey, ...]:
    """Return every file that a document may have."""
    return FileKey(number, None), FileKey(number, "original"), FileKey(number, "archive")


def _one_of(number: int | None, names: Mapping[int, str], wanted: Collection[str]) -> bool:
    return not wanted or (number is not None and names[number] in wanted)


def _split(name: str) -> tuple[str, str]:
    """Part a name before the last dot of its last segment: 'a/b.c.pdf' gives 'a/b.c', '.pdf'."""
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    if not stem:
        return name, ""
    return folder + slash + stem, dot + ending
