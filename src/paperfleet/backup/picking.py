"""Single documents of a backup, by their number or by words, without restoring all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from paperfleet.backup import place as places
from paperfleet.backup.records import records
from paperfleet.backup.snapshots import manifest_of
from paperfleet.errors import BackupError
from paperfleet.storage.full import full
from paperfleet.storage.hashing import sha256_in
from paperfleet.storage.local.backend import LocalBackend

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from paperfleet.backup.manifest import BackedUpFile
    from paperfleet.backup.repository import Repository
    from paperfleet.backup.snapshots import BackupRow
    from paperfleet.storage.full import FullStorage

_DOCUMENT: Final = "documents.document"
_ROLES: Final = ("originals", "archive")
_TEXTS: Final = ("title", "content", "filename", "archive_filename", "original_filename")
_NAMED: Final = {
    "correspondent": "documents.correspondent",
    "document_type": "documents.documenttype",
    "tags": "documents.tag",
}
"""Fields that name another record, whose ``name`` is looked through too."""


class PickedDocument(NamedTuple):
    """A document in a backup; ``files`` are those of it that were asked for, or written."""

    number: int
    title: str
    files: list[BackedUpFile]


@dataclass
class _Wanted:
    """Says which records of an export are wanted; a document's versions come with it."""

    numbers: Collection[int]
    words: list[str]
    _names: dict[tuple[str, object], str] = field(default_factory=dict)

    def title(self, record: Mapping[str, Any]) -> str | None:
        """Return the title of a document that is wanted; records are given in their order."""
        kind, fields = str(record.get("model")), record.get("fields") or {}
        if kind in _NAMED.values():
            self._names[kind, record.get("pk")] = str(fields.get("name"))
        if kind != _DOCUMENT:
            return None
        numbers = {record.get("pk"), fields.get("root_document")}
        by_number = not self.numbers or not numbers.isdisjoint(self.numbers)
        text = self._text(fields).casefold() if self.words else ""
        by_words = all(word in text for word in self.words)
        return str(fields.get("title") or "") if by_number and by_words else None

    def _text(self, fields: Mapping[str, Any]) -> str:
        texts = [str(fields.get(name) or "") for name in _TEXTS]
        for name, kind in _NAMED.items():
            value = fields.get(name)
            numbers = value if isinstance(value, list) else [value]
            texts += (self._names.get((kind, number), "") for number in numbers)
        return "\n".join(texts)


def find(
    repository: Repository, row: BackupRow, numbers: Collection[int], text: str
) -> list[PickedDocument]:
    """Return the documents of a backup with one of these numbers, and with every word of a text.

    Where one of both is empty, the other decides. Words are looked for in title, content, names of
    files, correspondent, type and tags; upper and lower case are alike. Raises ``BackupError``.
    """
    wanted = _Wanted(numbers, text.casefold().split())
    found: dict[int, str] = {}
    with TemporaryFile() as export:
        repository.write(row.snapshot, f"/{places.DATABASE}/manifest.json", export)
        export.seek(0)
        for record in records(TextIOWrapper(export, encoding="utf-8")):
            title, number = wanted.title(record), record.get("pk")
            if title is not None and isinstance(number, int):
                found[number] = title
    files: dict[int, list[BackedUpFile]] = {number: [] for number in found}
    for file in manifest_of(repository, row.snapshot).files:
        if file.role in _ROLES and file.document in found:
            files[file.document].append(file)
    if not found:
        asked = [*map(str, sorted(numbers)), *([f"{text!r}"] if text else [])]
        raise BackupError(
            f"backup {row.snapshot[:8]} has no such document: {', '.join(asked)}",
            hint="Older ones may have it: paperfleet backup list",
        )
    return [PickedDocument(number, found[number], files[number]) for number in sorted(found)]


def write(
    repository: Repository, row: BackupRow, found: Iterable[PickedDocument], folder: Path
) -> list[BackedUpFile]:
    """Write the files of these documents below a folder, under role and name.

    A file that is there already is replaced by none: it has to be the same one. Returns the files
    that the backup has not, or has damaged. Raises ``BackupError``, ``StorageError``.
    """
    files = [file for document in found for file in document.files]
    with full(LocalBackend(folder, create=True)) as target:
        return [file for file in files if not _written(repository, row, file, target)]


def _written(
    repository: Repository, row: BackupRow, file: BackedUpFile, target: FullStorage
) -> bool:
    if not file.sha256:
        return False
    name = f"{file.role}/{file.key}"
    if target.exists(name):
        if target.content_sha256(name) != file.sha256:
            raise BackupError(
                f"{target.label} has another file under {name}, and nothing there is ever replaced",
                hint="Choose an empty folder",
            )
        return True
    with TemporaryFile() as content:
        repository.write(row.snapshot, f"/{file.path}", content)
        content.seek(0)
        if sha256_in(content) != file.sha256:
            return False
        content.seek(0)
        target.save(name, content)
    return True
