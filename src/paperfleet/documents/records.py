"""What paperless-ngx tells of a document, as data. Pure.

The shapes are those of ``DocumentSerializer`` and of the view ``metadata`` in paperless-ngx
2.20 and 3.0 (``documents/serialisers.py``, ``documents/views.py``), version 9 of its API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from paperfleet.errors import NotAStorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["original", "archive"]
"""Which of a document's files."""

FIELDS = (
    "id",
    "title",
    "created",
    "added",
    "modified",
    "correspondent",
    "document_type",
    "storage_path",
    "owner",
    "tags",
    "archive_serial_number",
    "mime_type",
    "page_count",
    "original_file_name",
    "archived_file_name",
    "custom_fields",
    "versions",
)
"""What is asked of each document in a list; version 2 has no ``versions``."""

_DIGITS = {32, 64}
"""Of a checksum in hex: MD5 until version 2, SHA-256 since version 3."""
_SHA256_DIGITS = 64

_T = TypeVar("_T")


class DocumentFile(NamedTuple):
    """One file of a document: its name in paperless-ngx's folder, bytes, checksum in hex."""

    name: str
    size: int
    digest: str

    @property
    def sha256(self) -> str | None:
        """The checksum where it is a SHA-256; paperless-ngx 2 has an MD5."""
        return self.digest if len(self.digest) == _SHA256_DIGITS else None


class DocumentFiles(NamedTuple):
    """The files of the newest version.

    ``name`` is that of the first version's original, which stays when versions come.
    """

    original: DocumentFile
    archive: DocumentFile | None
    name: str


class ListedVersion(NamedTuple):
    """The newest version: its number, when it was added (RFC 3339), the original's checksum."""

    number: int
    added: str
    digest: str


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """A document in a list. Dates are as paperless-ngx writes them, in its own time zone.

    ``custom_fields`` are pairs of a field's number and its value. ``newest`` is None where there
    are no versions.
    """

    number: int
    title: str
    created: str
    added: str
    modified: str
    correspondent: int | None
    document_type: int | None
    storage_path: int | None
    owner: int | None
    tags: tuple[int, ...]
    asn: int | None
    mime_type: str
    page_count: int | None
    original_name: str | None
    has_archive: bool
    custom_fields: tuple[tuple[int, Any], ...]
    newest: ListedVersion | None

    @property
    def arrived_ns(self) -> int:
        """When the newest version was added, in nanoseconds since the epoch."""
        added = datetime.fromisoformat(self.newest.added if self.newest else self.added)
        return int(added.timestamp() * 1_000_000) * 1000

    def has_files_of(self, before: ListedDocument) -> bool:
        """Say whether nothing tells that files or their names changed since it was such."""
        return (self.modified, self.newest, self.has_archive) == (
            before.modified,
            before.newest,
            before.has_archive,
        )


def listed(told: object) -> ListedDocument:
    """Return a document of a list; raise ``NotAStorageError`` for what is none."""
    row = _fields(told)
    versions = [_fields(one) for one in _of(list, row, "versions", default=[])]
    newest = max(versions, key=lambda one: _of(int, one, "id"), default=None)
    return ListedDocument(
        number=_of(int, row, "id"),
        title=_of(str, row, "title"),
        created=_date(row, "created"),
        added=_date(row, "added"),
        modified=_date(row, "modified"),
        correspondent=_number(row, "correspondent"),
        document_type=_number(row, "document_type"),
        storage_path=_number(row, "storage_path"),
        owner=_number(row, "owner"),
        tags=tuple(sorted(_is(int, tag, "tags") for tag in _of(list, row, "tags"))),
        asn=_number(row, "archive_serial_number"),
        mime_type=_of(str, row, "mime_type", default=""),
        page_count=_number(row, "page_count"),
        original_name=None
        if row.get("original_file_name") is None
        else _of(str, row, "original_file_name"),
        has_archive=row.get("archived_file_name") is not None,
        custom_fields=tuple(
            (_of(int, field, "field"), frozen(field.get("value")))
            for field in map(_fields, _of(list, row, "custom_fields", default=[]))
        ),
        newest=None
        if newest is None
        else ListedVersion(
            _of(int, newest, "id"), _date(newest, "added"), _digest(newest, "checksum")
        ),
    )


def files(told: object, first: object | None = None) -> DocumentFiles:
    """Return what the view ``metadata`` tells of a document's newest version.

    ``first`` is what it tells of the first version, where there are several. Raises
    ``NotAStorageError`` for what is neither; of a file that is missing in paperless-ngx's own
    folder the size is -1.
    """
    row = _fields(told)
    original = DocumentFile(
        _of(str, row, "media_filename"),
        _size(row, "original_size"),
        _digest(row, "original_checksum"),
    )
    archive = None
    if _of(bool, row, "has_archive_version"):
        archive = DocumentFile(
            _of(str, row, "archive_media_filename"),
            _size(row, "archive_size"),
            _digest(row, "archive_checksum"),
        )
    name = original.name if first is None else _of(str, _fields(first), "media_filename")
    return DocumentFiles(original, archive, name)


def _fields(told: object) -> Mapping[str, object]:
    if not isinstance(told, dict):
        raise _odd(f"{type(told).__name__} in the place of an object")
    return told


def _of(kind: type[_T], row: Mapping[str, object], key: str, default: _T | None = None) -> _T:
    if key not in row and default is not None:
        return default
    return _is(kind, row.get(key), key)


def _is(kind: type[_T], value: object, key: str) -> _T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _odd(f"{type(value).__name__} as {key!r}")
    return value


def _number(row: Mapping[str, object], key: str) -> int | None:
    return None if row.get(key) is None else _of(int, row, key)


def _date(row: Mapping[str, object], key: str) -> str:
    text = _of(str, row, key)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise _odd(f"{text[:40]!r} as {key!r}") from None
    return text


def _size(row: Mapping[str, object], key: str) -> int:
    return -1 if row.get(key) is None else _of(int, row, key)


def _digest(row: Mapping[str, object], key: str) -> str:
    text = _of(str, row, key).lower()
    if len(text) not in _DIGITS or set(text) - set("0123456789abcdef"):
        raise _odd(f"{text[:80]!r} as {key!r}")
    return text


def frozen(value: object) -> object:
    """Return a value of JSON with tuples in the place of lists."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def _odd(what: str) -> NotAStorageError:
    return NotAStorageError(
        f"paperless-ngx answered in a way that is not known: {what}",
        hint="See docs/reference/tested-versions.md for the versions that are",
    )
