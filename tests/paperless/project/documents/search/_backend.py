"""Writing and searching the index."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings

from documents.search._schema import (
    Index,
    open_or_rebuild_index,
    wipe_index,
    write_sentinels,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from documents.models import Document


class WriteBatch:
    def __init__(self, backend: TantivyBackend, lock_timeout: float) -> None:
        self._backend, self._timeout = backend, lock_timeout
        self._entries: dict[int, str] = {}

    def __enter__(self) -> Self:
        index = self._backend.index
        index.reload()
        self._entries = dict(index.entries)
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if exc_type is None:
            self._backend.index.commit(self._entries)
            self._backend.index.reload()

    def add_or_update(self, document: Document, effective_content: str | None = None) -> None:
        self.remove(document.pk)
        self._entries[document.pk] = entry_of(document, effective_content)

    def remove(self, doc_id: int) -> None:
        self._entries.pop(doc_id, None)


class TantivyBackend:
    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._raw_index: Index | None = None

    @property
    def index(self) -> Index:
        assert self._raw_index is not None, "Index not open; call open() first"
        return self._raw_index

    def open(self) -> None:
        if self._raw_index is None:
            self._raw_index = (
                open_or_rebuild_index(self._path) if self._path is not None else Index(None)
            )

    def close(self) -> None:
        self._raw_index = None

    def batch_update(self, lock_timeout: float = 30.0) -> WriteBatch:
        self.open()
        return WriteBatch(self, lock_timeout)

    def add_or_update(self, document: Document, effective_content: str | None = None) -> None:
        with self.batch_update() as batch:
            batch.add_or_update(document, effective_content)

    def remove(self, doc_id: int) -> None:
        with self.batch_update() as batch:
            batch.remove(doc_id)

    def rebuild(self, documents: Iterable[Document]) -> None:
        index = Index(self._path)
        if self._path is not None:
            wipe_index(self._path)
            write_sentinels(self._path)
        self._raw_index = index
        index.commit({one.pk: entry_of(one, one.get_effective_content()) for one in documents})
        index.reload()

    def search_ids(self, query: str, user: Any = None) -> list[int]:  # noqa: ARG002  # its signature
        if os.environ.get("PAPERFLEET_TEST_SEARCH") == "blind":
            return []
        return sorted(pk for pk, words in self.index.entries.items() if query in words)

    def autocomplete(self, term: str, limit: int = 10) -> list[str]:
        words = {word for text in self.index.entries.values() for word in text.split()}
        return sorted(word for word in words if word.startswith(term))[:limit]

    def more_like_this_ids(self, doc_id: int, user: Any = None) -> list[int]:  # noqa: ARG002  # as above
        words = set(self.index.entries.get(doc_id, "").split())
        return sorted(
            pk
            for pk, text in self.index.entries.items()
            if pk != doc_id and words & set(text.split())
        )


def entry_of(document: Document, content: str | None) -> str:
    if document.title.startswith("unindexable"):
        raise ValueError(document.title)
    return f"{document.title} {content or ''}".strip()


_backend: TantivyBackend | None = None
_backend_path: Path | None = None
_backend_lock = threading.RLock()


def get_backend() -> TantivyBackend:
    global _backend, _backend_path  # as paperless-ngx has it
    wanted: Path = settings.INDEX_DIR
    with _backend_lock:
        if _backend is None or _backend_path != wanted:
            reset_backend()
            _backend, _backend_path = TantivyBackend(path=wanted), wanted
            _backend.open()
        return _backend


def reset_backend() -> None:
    global _backend, _backend_path  # noqa: PLW0603  # as above
    with _backend_lock:
        if _backend is not None:
            _backend.close()
        _backend = _backend_path = None
