"""What is known of every document, kept in a file beside the journal.

It spares a request for each document at each start, and keeps the numbers of equal names. What is
at the target says the journal; a lost index costs requests, and perhaps renames.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from paperfleet.documents import records
from paperfleet.documents.naming import FileKey, NameTable, Renamed, Wish
from paperfleet.documents.records import DocumentFile, DocumentFiles, ListedDocument, ListedVersion
from paperfleet.documents.rules import Decision, KnownDocument, keys_of
from paperfleet.errors import JournalError
from paperfleet.private import MODE, make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Self

INDEX_SUFFIX = ".documents"
"""Of the file beside the journal."""
_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (number INTEGER PRIMARY KEY, told TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS names (
    number INTEGER NOT NULL, kind TEXT NOT NULL, stem TEXT NOT NULL, ending TEXT NOT NULL,
    closes_up INTEGER NOT NULL, name TEXT NOT NULL UNIQUE, PRIMARY KEY (number, kind)
) STRICT;
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""


class IndexedFile(NamedTuple):
    """A file that is mirrored under a name."""

    name: str
    key: FileKey
    document: KnownDocument


class Taken(NamedTuple):
    """What changed: names, and the numbers of documents that are left alone now, or no longer."""

    renamed: Mapping[FileKey, Renamed]
    troubled: set[int]


class DocumentIndex:
    """Every known document, with the names of its files; safe in many threads, one of which writes.

    ``path`` is its file, which is made when missing; ``keep`` False reads it and writes nothing.
    Raises ``JournalError``.
    """

    def __init__(self, path: Path, *, keep: bool = True) -> None:
        self._path, self._keep = path, keep
        self.folder = path.parent
        self._depth = 0
        self._lock = threading.RLock()
        self._documents: dict[int, KnownDocument] = {}
        self._names = NameTable()
        self._troubles: dict[int, str] = {}
        self._facts: dict[str, Any] = {}
        self._connection: sqlite3.Connection

    def __enter__(self) -> Self:
        with self._lock:
            if not self._depth:
                self._connection = self._opened()
                self._load()
            self._depth += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._connection.close()

    # Reading

    def documents(self) -> dict[int, KnownDocument]:
        """Return every document by its number."""
        with self._lock:
            return dict(self._documents)

    def all_files(self) -> list[IndexedFile]:
        """Return every file that has a name."""
        with self._lock:
            return [*self._named()]

    def file(self, name: str) -> IndexedFile | None:
        """Return the file of this name."""
        with self._lock:
            key = self._names.key_of(name)
            return None if key is None else IndexedFile(name, key, self._documents[key.number])

    def troubles(self) -> dict[int, str]:
        """Return why documents are left as they are, by their numbers."""
        with self._lock:
            return dict(self._troubles)

    def name_of(self, key: FileKey) -> str | None:
        """Return the name of a file, None for one that has none."""
        with self._lock:
            return self._names.name_of(key)

    def fact(self, key: str) -> Any:  # noqa: ANN401  # what was set
        """Return what was set under a key; None for nothing."""
        with self._lock:
            return self._facts.get(key)

    def _named(self) -> Iterator[IndexedFile]:
        for number, document in self._documents.items():
            for key in keys_of(number):
                name = self._names.name_of(key)
                if name is not None:
                    yield IndexedFile(name, key, document)

    # Writing

    def set_fact(self, key: str, value: object) -> None:
        """Keep something that JSON can hold."""
        with self._lock, self._explained(), self._connection:
            self._facts[key] = value
            self._connection.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, json.dumps(value))
            )

    def take(
        self,
        documents: Iterable[KnownDocument],
        gone: Iterable[int],
        decide: Callable[[KnownDocument], Decision],
    ) -> Taken:
        """Take over documents, and forget others; return what changed."""
        decided = [(one, decide(one)) for one in documents]
        with self._lock, self._explained(), self._connection:
            before = dict(self._troubles)
            wished = self._decided(decided)
            for document, _ in decided:
                self._documents[document.listed.number] = document
                self._connection.execute(
                    "INSERT OR REPLACE INTO documents VALUES (?, ?)",
                    (document.listed.number, to_text(document)),
                )
            for number in gone:
                self._troubles.pop(number, None)
                wished |= dict.fromkeys(keys_of(number))
                self._documents.pop(number, None)
                self._connection.execute("DELETE FROM documents WHERE number = ?", (number,))
            return Taken(self._renamed(wished), _differing(before, self._troubles))

    def rename(self, decide: Callable[[KnownDocument], Decision]) -> Taken:
        """Decide anew for every document; return what changed."""
        decided = [(one, decide(one)) for one in self.documents().values()]
        with self._lock, self._explained(), self._connection:
            before = dict(self._troubles)
            wished = self._decided(decided)
            return Taken(self._renamed(wished), _differing(before, self._troubles))

    def trouble(self, reasons: Mapping[int, str]) -> Taken:
        """Leave documents as they are, until they are taken over or decided anew."""
        with self._lock:
            before = dict(self._troubles)
            self._troubles |= reasons
            return Taken({}, _differing(before, self._troubles))

    def _decided(
        self, decided: Iterable[tuple[KnownDocument, Decision]]
    ) -> dict[FileKey, Wish | None]:
        wished: dict[FileKey, Wish | None] = {}
        for document, (wishes, trouble) in decided:
            wished |= wishes
            self._troubles.pop(document.listed.number, None)
            if trouble:
                self._troubles[document.listed.number] = trouble
        return wished

    def _renamed(self, wished: Mapping[FileKey, Wish | None]) -> dict[FileKey, Renamed]:
        changed = {key for key, wish in wished.items() if wish != self._names.wish_of(key)}
        renamed = self._names.assign(wished)
        self._write_names(changed | renamed.keys())
        return renamed

    def _write_names(self, keys: Iterable[FileKey]) -> None:
        rows = []
        for key in keys:
            text = (key.number, key.kind or "")
            self._connection.execute("DELETE FROM names WHERE number = ? AND kind = ?", text)
            name, wish = self._names.name_of(key), self._names.wish_of(key)
            if name is not None and wish is not None:
                rows.append((*text, *wish, name))
        self._connection.executemany("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?)", rows)

    # The file

    def _opened(self) -> sqlite3.Connection:
        try:
            if self._keep:
                make_folder(self._path.parent)
                os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, MODE))
                return self._connect(str(self._path))
            copy = self._connect(":memory:")
            if self._path.exists():
                with closing(self._connect(str(self._path))) as there, self._explained():
                    there.backup(copy)
        except OSError as error:
            raise JournalError(
                f"The list of documents {self._path} cannot be opened ({error})",
                hint="Check that this user may write there",
            ) from error
        return copy

    def _connect(self, where: str) -> sqlite3.Connection:
        with self._explained():
            return sqlite3.connect(where, timeout=10, check_same_thread=False)

    def _load(self) -> None:
        with self._lock, self._explained():
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
            rows = self._connection.execute("SELECT key, value FROM facts")
            self._facts = {key: json.loads(value) for key, value in rows}
            if self._facts.setdefault("format", _FORMAT) != _FORMAT:
                raise JournalError(
                    f"The list of documents {self._path} was made by another version of Paperfleet",
                    hint="Remove it: it is made anew",
                )
            rows = self._connection.execute("SELECT told FROM documents ORDER BY number")
            for (text,) in rows:
                document = from_text(text)
                self._documents[document.listed.number] = document
            given = self._connection.execute("SELECT * FROM names")
            self._names = NameTable(
                (FileKey(number, kind or None), Wish(stem, ending, bool(closes_up)), name)
                for number, kind, stem, ending, closes_up, name in given
            )
        self.set_fact("format", _FORMAT)

    def _explained(self) -> _Explained:
        return _Explained(self._path)


def _differing(before: Mapping[int, str], now: Mapping[int, str]) -> set[int]:
    return {number for number, _ in before.items() ^ now.items()}


class _Explained:
    """Turns what SQLite raises into ``JournalError``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (sqlite3.Error, ValueError, KeyError, TypeError)):
            raise JournalError(
                f"The list of documents {self._path} cannot be used ({error})",
                hint="Remove it: it is made anew. Is the disk full?",
            ) from error


def to_text(document: KnownDocument) -> str:
    """Return a document as JSON."""
    listed = {name: getattr(document.listed, name) for name in ListedDocument.__slots__}
    return json.dumps(
        {
            "listed": listed,
            "files": document.files,
            "hidden": document.hidden,
            "trashed": document.trashed,
        },
        ensure_ascii=False,
    )


def from_text(text: str) -> KnownDocument:
    """Return the document that ``to_text`` was given; raise ``ValueError``, ``KeyError``."""
    told = json.loads(text)
    listed = dict(told["listed"])
    listed["tags"] = tuple(listed["tags"])
    listed["custom_fields"] = tuple(
        (field, records.frozen(value)) for field, value in listed["custom_fields"]
    )
    listed["newest"] = ListedVersion(*listed["newest"]) if listed["newest"] else None
    original, archive, name = told["files"]
    files = DocumentFiles(
        DocumentFile(*original), DocumentFile(*archive) if archive else None, name
    )
    return KnownDocument(ListedDocument(**listed), files, told["hidden"], told["trashed"])
