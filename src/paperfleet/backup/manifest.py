"""The manifest of a backup: every file of it, and what it is to the installation.

A text file of JSON lines (UTF-8): a header, then a line for each file, then a total, as a receipt
of a migration has them (``transfer.receipt``).

    {"paperfleet_backup": 1, "as_of": "2026-01-31T12:00:00+00:00", "paperless": "3.0.5", …}
    {"document": 7, "role": "originals", "key": "2024/a.pdf", "export": "2024-01-31 a.pdf",
     "size": 48213, "sha256": "9f86d081…"}
    {"document": 8, "role": "archive", "key": "b.pdf", "export": "b-archive.pdf", "fault": "…"}
    {"files": 1, "bytes": 48213, "faults": 1, "sha256": "…"}

``role`` is the area (``paperless.areas``), ``key`` the name in it, ``document`` the primary key of
the row that names the file, ``export`` the name that ``document_importer`` looks for (empty where
it takes no such file). The bytes lie in the tree under a name that follows from ``sha256``
(``tree_name``). The last ``sha256`` is that of all lines between, each with its line end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from paperfleet.errors import BackupError
from paperfleet.transfer.jsonlines import digest, line, object_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

VERSION: Final = 1
TREE: Final = "files"
"""The folder of a backup in which the tree lies."""


class BackedUpFile(NamedTuple):
    """One file: ``size`` in bytes, ``sha256`` in hex; with a ``fault`` both may be empty.

    A ``fault`` says what is wrong with the file in the installation: missing, or other bytes than
    the database has a checksum of (these are in the backup).
    """

    document: int
    role: str
    key: str
    export: str = ""
    size: int = 0
    sha256: str = ""
    fault: str = ""

    @property
    def path(self) -> str:
        """Where its bytes lie in the backup; empty where it has none."""
        return f"{TREE}/{tree_name(self.sha256)}" if self.sha256 else ""


class Manifest(NamedTuple):
    """What a backup holds. Labels are without secrets, ``as_of`` is ISO 8601 in UTC.

    Everything is as it was in the database at ``as_of``. ``paperless`` and ``paperfleet`` are
    versions, ``identity`` names the database, ``documents`` counts its rows, with trash and
    versions.
    """

    as_of: str
    paperless: str
    paperfleet: str
    identity: str
    source: str
    documents: int
    files: tuple[BackedUpFile, ...]

    @property
    def faults(self) -> list[BackedUpFile]:
        """The files that are not as the database says."""
        return [file for file in self.files if file.fault]

    @property
    def size(self) -> int:
        """The bytes of all files, each content once."""
        return sum({file.sha256: file.size for file in self.files}.values())


_HEADER = ("as_of", "paperless", "paperfleet", "identity", "source", "documents")


def tree_name(sha256: str) -> str:
    """Return the name of a content in the tree: 256 folders, so that none is large."""
    return f"{sha256[:2]}/{sha256}"


def lines(manifest: Manifest) -> Iterator[str]:
    """Yield the lines of a manifest, each with its line end."""
    yield line({"paperfleet_backup": VERSION} | {k: getattr(manifest, k) for k in _HEADER})
    rows = [line(_row(file)) for file in manifest.files]
    yield from rows
    yield line(_total(manifest.files, rows))


def parse(text: Iterable[str]) -> Manifest:
    """Return the manifest of these lines; raise ``BackupError``."""
    head, *body = list(text) or [""]
    header = object_in(head, _damaged)
    if header.get("paperfleet_backup") != VERSION:
        raise BackupError(
            "this is no manifest that this version reads",
            hint="The backup may be of a newer Paperfleet: use that one",
        )
    if not body:
        raise _damaged("it ends after its first line")
    *rows, last = body
    files = tuple(_file(object_in(row, _damaged)) for row in rows)
    if object_in(last, _damaged) != _total(files, rows):
        raise _damaged("its lines do not add up to its total")
    as_of, paperless, paperfleet, identity, source = (
        str(header.get(key, "")) for key in _HEADER[:-1]
    )
    documents = header.get("documents")
    count = documents if isinstance(documents, int) else 0
    return Manifest(as_of, paperless, paperfleet, identity, source, count, files)


def _row(file: BackedUpFile) -> dict[str, object]:
    always = ("document", "role", "key")
    return {key: value for key, value in file._asdict().items() if value or key in always}


def _total(files: Sequence[BackedUpFile], rows: Iterable[str]) -> dict[str, object]:
    return {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "faults": sum(bool(file.fault) for file in files),
        "sha256": digest(rows),
    }


def _file(value: dict[str, object]) -> BackedUpFile:
    document, size = value.get("document"), value.get("size", 0)
    names = [value.get(key, "") for key in ("role", "key", "export", "sha256", "fault")]
    if type(document) is not int or type(size) is not int:
        raise _damaged("a line is not a file's")
    if not all(isinstance(name, str) for name in names):
        raise _damaged("a line is not a file's")
    role, key, export, sha256, fault = map(str, names)
    return BackedUpFile(document, role, key, export, size, sha256, fault)


def _damaged(reason: str) -> BackupError:
    return BackupError(
        f"the manifest of the backup is damaged: {reason}",
        hint="Use another backup (paperfleet backup list), and run paperfleet backup verify",
    )
