"""What stands where paperless-ngx writes its search index: each notes documents in the stream.

The original functions are kept for the one process of a host that follows the stream.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from django.conf import settings

from paperfleet.paperless.search import own, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    Function = Callable[..., Any]

NOWHERE: Final = "none"
"""The name of a folder that is never made: before an index is there, searches find nothing."""
_TRIES: Final = 4
_PAUSE: Final = 0.1
originals: dict[str, Function] = {}
"""paperless-ngx's own functions, by name."""


def is_tantivy() -> bool:
    """Say whether this is a paperless-ngx 3."""
    return importlib.util.find_spec("documents.search") is not None


class _OneDocument(NamedTuple):
    pk: int


def fault() -> str:
    """Try paperless-ngx's own functions; return what one would do to an index, '' for none."""
    trials = _tantivy_trials() if is_tantivy() else _whoosh_trials()
    for what, trial, expected in trials:
        with stream.diverted() as noted:
            trial()
        if noted != [expected]:
            return f"{what} would write an index of its own"
    for what, search in _tantivy_searches() if is_tantivy() else _whoosh_searches():
        before = own.waits()
        search()
        if own.waits() == before:
            return f"{what} would not wait for this process's own edit"
    return _emptying() if is_tantivy() else ""


def _tantivy_searches() -> list[tuple[str, Callable[[], object]]]:
    backend = importlib.import_module("documents.search").TantivyBackend()
    backend.open()
    return [
        ("search_ids", lambda: backend.search_ids("nothing", user=None)),
        ("autocomplete", lambda: backend.autocomplete("nothing", 1)),
        ("more_like_this_ids", lambda: backend.more_like_this_ids(1, user=None)),
    ]


def _whoosh_searches() -> list[tuple[str, Callable[[], object]]]:
    index = importlib.import_module("documents.index")

    def search() -> None:
        with index.open_index_searcher():
            pass

    return [("open_index_searcher", search), ("open_index", index.open_index)]


def _emptying() -> str:
    """Say whether an index that another version has built would be emptied by opening it."""
    with tempfile.TemporaryDirectory(prefix="paperfleet-") as folder:
        file = Path(folder, "of another version")
        file.touch()
        importlib.import_module("documents.search").TantivyBackend(path=Path(folder)).open()
        return "" if file.exists() else "opening an index would empty it"


def _tantivy_trials() -> list[tuple[str, Callable[[], object], int]]:
    backend = importlib.import_module("documents.search").TantivyBackend()
    one = _OneDocument(7)
    return [
        ("add_or_update", lambda: backend.add_or_update(one), one.pk),
        ("remove", lambda: backend.remove(one.pk), one.pk),
        ("rebuild", lambda: backend.rebuild(()), stream.REINDEX),
    ]


def _whoosh_trials() -> list[tuple[str, Callable[[], object], int]]:
    index = importlib.import_module("documents.index")
    tasks = importlib.import_module("documents.tasks")
    one = _OneDocument(7)

    def by_task() -> None:
        with tasks.AsyncWriter(None) as writer:
            index.update_document(writer, one)

    return [
        ("add_or_update_document", lambda: index.add_or_update_document(one), one.pk),
        ("remove_document_from_index", lambda: index.remove_document_from_index(one), one.pk),
        ("bulk_update_documents", by_task, one.pk),
        ("index_reindex", tasks.index_reindex, stream.REINDEX),
    ]


class StreamBatch:
    """A batch of changes of an index (``WriteBatch``): it only notes which documents are meant."""

    def __init__(self) -> None:
        self._documents: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Write them into the stream, unless the batch failed."""
        if exc_type is None:
            stream.write(self._documents)
            self._documents.clear()

    def add_or_update(self, document: Any, effective_content: object = None) -> None:  # noqa: ANN401, ARG002  # its signature
        """Note a document that is new or has changed."""
        self._documents.add(document.pk)

    def remove(self, doc_id: int) -> None:
        """Note a document that is gone."""
        self._documents.add(doc_id)


class StreamWriter(StreamBatch):
    """A writer of Whoosh's (``AsyncWriter``), likewise."""

    def update_document(self, **fields: Any) -> None:  # noqa: ANN401  # Whoosh's
        """Note a document that is new or has changed."""
        self._documents.add(fields["id"])

    def delete_by_term(self, fieldname: str, text: Any, searcher: object = None) -> None:  # noqa: ANN401, ARG002  # Whoosh's
        """Note a document that is gone; there is no other term by which entries are deleted."""
        if fieldname != "id":
            raise NotImplementedError(f"entries are deleted by {fieldname}")
        self._documents.add(int(text))

    def commit(self, **_: object) -> None:
        """Write them into the stream."""
        stream.write(self._documents)
        self._documents.clear()

    def cancel(self) -> None:
        """Forget them."""
        self._documents.clear()


def _keeping(make: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Return a seam that also keeps the original, by its name."""

    @functools.wraps(make)
    def seam(original: Function) -> Function:
        originals[make.__name__] = original
        return functools.wraps(original)(make(original))

    return seam


@_keeping
def batch_update(_original: Function) -> Function:
    """``TantivyBackend.batch_update``: a batch for the stream."""
    return lambda _self, lock_timeout=0.0: StreamBatch()  # noqa: ARG005  # its signature


@_keeping
def rebuild(_original: Function) -> Function:
    """``TantivyBackend.rebuild``: all hosts build theirs."""
    return lambda *_, **__: stream.write([stream.REINDEX])


def open_or_rebuild_index(original: Function) -> Function:
    """Open an index that is there, never empty one; without one there is one in memory."""

    @functools.wraps(original)
    def new(index_dir: Path | None = None) -> Any:  # noqa: ANN401  # Tantivy's
        schema = importlib.import_module("documents.search._schema")
        folder = Path(index_dir or settings.INDEX_DIR)
        if folder.is_dir() and schema.needs_rebuild(folder):
            folder = folder.parent / NOWHERE
        return original(folder)

    return new


def never_needed(_original: Function) -> Function:
    """``document_index reindex --if-needed``: the web server looks after that."""
    return lambda *_, **__: False


def nothing(_original: Function) -> Function:
    """Do nothing: no command empties an index that is in use."""
    return lambda *_, **__: None


def after_own_changes(original: Function) -> Function:
    """Search after what this process has committed is in the index, or a second has passed."""

    @functools.wraps(original)
    def new(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  # that of several
        own.wait()
        return original(*arguments, **keywords)

    return new


def open_index_writer(_original: Function) -> Function:
    """``documents.index.open_index_writer``: a writer for the stream."""

    @contextlib.contextmanager
    def new(*, optimize: bool = False) -> Iterator[StreamWriter]:  # noqa: ARG001  # its signature
        with StreamWriter() as writer:
            yield writer

    return new


@_keeping
def update_document(original: Function) -> Function:
    """``documents.index.update_document``: only its number matters to the stream."""

    def new(writer: Any, doc: Any) -> None:  # noqa: ANN401  # its signature
        if isinstance(writer, StreamWriter):
            writer.add_or_update(doc)
        else:
            original(writer, doc)

    return new


def async_writer(_original: Function) -> Function:
    """``AsyncWriter`` in paperless-ngx's tasks: a writer for the stream."""
    return lambda _index, **_: StreamWriter()


def index_reindex(_original: Function) -> Function:
    """``documents.tasks.index_reindex``: all hosts build theirs."""
    return lambda **_: stream.write([stream.REINDEX])


def open_index(_original: Function) -> Function:
    """``documents.index.open_index``: never make one anew; without one there is one in memory."""

    def new(*, recreate: bool = False) -> Any:  # noqa: ANN401, ARG001  # Whoosh's; its signature
        own.wait()
        whoosh = importlib.import_module("whoosh.index")
        schema = importlib.import_module("documents.index").get_schema()
        for left in reversed(range(_TRIES)):
            if not whoosh.exists_in(settings.INDEX_DIR):
                break
            try:
                return whoosh.open_dir(settings.INDEX_DIR, schema=schema)
            except FileNotFoundError:  # a commit has removed what was the newest a moment ago
                if not left:
                    raise
                time.sleep(_PAUSE)
        memory = importlib.import_module("whoosh.filedb.filestore").RamStorage()
        return memory.create_index(schema)

    return new
