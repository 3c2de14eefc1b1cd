"""The search engines of paperless-ngx, reached through its own code: Tantivy (v3), Whoosh (v2)."""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings
from django.db import DatabaseError

from paperfleet.filesystems import flush_folder_at
from paperfleet.paperless.search import writers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_log = logging.getLogger("paperfleet.paperless")
_HEAP = "writer_heap_bytes"


class SearchEngine(Protocol):
    """What keeps an index in a folder of its own."""

    def kind(self) -> str:
        """Return what an index must have been built by, to be of use to this process."""

    def is_whole(self, folder: Path) -> bool:
        """Say whether the folder has an index that can be opened."""

    def build(self, folder: Path) -> None:
        """Make an index of all documents in an empty folder."""

    def apply(self, folder: Path, documents: Iterable[int]) -> list[int]:
        """Let the entries of these documents say what the database says now.

        Returns those whose entry could not be made. Durable when it returns.
        """

    def use(self, folder: Path) -> None:
        """Let searches of this process find this index; a search that runs ends undisturbed."""

    def refresh(self) -> None:
        """Let searches of this process see what was written last."""


class Tantivy:
    """paperless-ngx 3 (``documents/search``)."""

    def __init__(self) -> None:
        self._search = importlib.import_module("documents.search")
        self._backend = importlib.import_module("documents.search._backend")
        self._schema = importlib.import_module("documents.search._schema")

    def kind(self) -> str:
        """See ``SearchEngine``."""
        language = getattr(settings, "SEARCH_LANGUAGE", None)
        return f"tantivy {self._schema.SCHEMA_VERSION} {language}"

    def is_whole(self, folder: Path) -> bool:
        """See ``SearchEngine``."""
        return folder.is_dir() and not self._schema.needs_rebuild(folder)

    def build(self, folder: Path) -> None:
        """See ``SearchEngine``."""
        backend = self._backend.TantivyBackend(path=folder)
        writers.originals["rebuild"](backend, self._documents())
        _sync(folder)

    def apply(self, folder: Path, documents: Iterable[int]) -> list[int]:
        """See ``SearchEngine``."""
        backend = self._search.get_backend()
        if Path(backend._path or "") != folder:  # noqa: SLF001  # paperless-ngx's
            raise OSError(f"the search index is open in {backend._path}, not in {folder}")  # noqa: SLF001
        wanted = sorted(documents)
        with writers.originals["batch_update"](backend) as batch:
            failed = _each(
                wanted,
                self._documents(),
                lambda one: batch.add_or_update(one, one.get_effective_content()),
                batch.remove,
            )
        _sync(folder)
        return failed

    def use(self, folder: Path) -> None:
        """See ``SearchEngine``; paperless-ngx itself would close the index that is searched."""
        opened = self._backend.TantivyBackend(path=folder)
        opened.open()
        module: Any = self._backend
        with module._backend_lock:  # noqa: SLF001  # paperless-ngx's
            module._backend, module._backend_path = opened, folder  # noqa: SLF001
            settings.INDEX_DIR = folder

    def refresh(self) -> None:
        """See ``SearchEngine``."""
        backend = self._search.get_backend()
        if backend._raw_index is not None:  # noqa: SLF001
            backend._raw_index.reload()  # noqa: SLF001

    def _documents(self) -> Any:  # noqa: ANN401  # a queryset
        """Return all documents, with what their entries need (``document_index.py``)."""
        document = importlib.import_module("documents.models").Document
        return _with(
            document.objects.all(),
            ("correspondent", "document_type", "storage_path", "owner"),
            ("tags", "notes__user", "custom_fields__field", "versions"),
        )


class Whoosh:
    """paperless-ngx 2 (``documents/index.py``)."""

    def __init__(self) -> None:
        self._index = importlib.import_module("documents.index")
        self._whoosh = importlib.import_module("whoosh.index")

    def kind(self) -> str:
        """See ``SearchEngine``."""
        return f"whoosh {sorted(self._index.get_schema().names())}"

    def is_whole(self, folder: Path) -> bool:
        """See ``SearchEngine``."""
        return folder.is_dir() and bool(self._whoosh.exists_in(folder))

    def build(self, folder: Path) -> None:
        """See ``SearchEngine``."""
        writer = self._whoosh.create_in(folder, self._index.get_schema()).writer()
        try:
            for document in self._documents().iterator(chunk_size=500):
                writers.originals["update_document"](writer, document)
        except BaseException:
            writer.cancel()
            raise
        writer.commit(optimize=True)
        _sync(folder)

    def apply(self, folder: Path, documents: Iterable[int]) -> list[int]:
        """See ``SearchEngine``."""
        update = writers.originals["update_document"]
        writer = self._whoosh.open_dir(folder, schema=self._index.get_schema()).writer()
        try:
            failed = _each(
                sorted(documents),
                self._documents(),
                lambda one: update(writer, one),
                lambda number: writer.delete_by_term("id", number),
            )
        except BaseException:
            writer.cancel()
            raise
        writer.commit()
        _sync(folder)
        return failed

    def use(self, folder: Path) -> None:
        """See ``SearchEngine``."""
        settings.INDEX_DIR = folder

    def refresh(self) -> None:
        """See ``SearchEngine``; each search opens the index anew."""

    def _documents(self) -> Any:  # noqa: ANN401  # a queryset
        document = importlib.import_module("documents.models").Document
        return _with(
            document.objects.order_by("pk"),
            ("correspondent", "document_type", "storage_path", "owner"),
            ("tags",),
        )


def engine() -> SearchEngine:
    """Return the engine of this version."""
    return Tantivy() if writers.is_tantivy() else Whoosh()


def _with(documents: Any, joined: tuple[str, ...], fetched: tuple[str, ...]) -> Any:  # noqa: ANN401
    """Return a queryset that fetches what is related, as far as this version has it."""
    model = documents.model
    names = {field.name for field in model._meta.get_fields()} | {  # noqa: SLF001  # Django's documented name
        relation.get_accessor_name()
        for relation in model._meta.related_objects  # noqa: SLF001
    }
    return documents.select_related(*(name for name in joined if name in names)).prefetch_related(
        *(name for name in fetched if name.partition("__")[0] in names)
    )


def _each(
    wanted: list[int],
    documents: Any,  # noqa: ANN401  # a queryset
    put: Callable[[Any], object],
    remove: Callable[[int], object],
) -> list[int]:
    """Put each document that is there into the index, remove the others; return what failed."""
    failed = []
    present = {one.pk: one for one in documents.filter(pk__in=wanted)}
    for number in wanted:
        if number not in present:
            remove(number)
            continue
        try:
            put(present[number])
        except (DatabaseError, OSError):
            raise
        except Exception:  # noqa: BLE001  # whatever one document has, the others go on
            _log.exception("document %s could not be put into the search index", number)
            failed.append(number)
    return failed


def _sync(folder: Path) -> None:
    """Make durable what an engine has written; one of them leaves that to the kernel."""
    for path in folder.iterdir():
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # merged away meanwhile
            continue
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    flush_folder_at(folder)
