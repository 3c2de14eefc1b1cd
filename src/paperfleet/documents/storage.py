"""The documents of a paperless-ngx as a storage that is only read.

A listing comes from the index, so it costs no request; bytes come from paperless-ngx, and are
handed on only when they have the checksum that it told before.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, NoReturn, Self, cast

from paperfleet.documents.api import digest_like
from paperfleet.documents.rules import MISSING, nameless_name
from paperfleet.errors import BusyError, IntegrityError, NotFoundError, StorageError
from paperfleet.model import Capabilities, FileStat, Obstacle
from paperfleet.storage.hashing import CHUNK
from paperfleet.storage.names import check_name, check_prefix, is_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from paperfleet.documents.api import PaperlessApi
    from paperfleet.documents.index import DocumentIndex, IndexedFile
    from paperfleet.documents.records import Kind

_IN_MEMORY = 8 << 20
"""Bytes of a download that are kept in memory before they go to a file."""


class ListFault:
    """Why the list of documents cannot be believed now; safe in many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error: StorageError | None = None
        self._reading: Callable[[], str] | None = lambda: "the list of documents is being read"

    def reading(self, text: Callable[[], str]) -> None:
        """Say that it is being read for the first time."""
        with self._lock:
            self._error, self._reading = None, text

    def set(self, error: StorageError | None) -> bool:
        """Say that it cannot be read, or, with None, that it was; return whether that is news."""
        with self._lock:
            news = (error is None) != (self._error is None) or self._reading is not None
            self._error, self._reading = error, None
            return news

    def check(self, label: str) -> None:
        """Raise what is wrong; ``BusyError`` while it is read for the first time."""
        with self._lock:
            error, reading = self._error, self._reading
        if error is not None:
            raise error
        if reading is not None:
            raise BusyError(reading(), operation="list", storage=label)


class DocumentsStorage:
    """Every document as a file, or two, under the name that the index gives it."""

    def __init__(
        self,
        api: PaperlessApi,
        index: DocumentIndex,
        fault: ListFault,
        on_other_bytes: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._api, self._index, self._fault = api, index, fault
        self._on_other_bytes = on_other_bytes
        self.label = f"paperless-ngx at {api.client.address.url}"

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return Capabilities(
            stat=True,
            list_stats=True,
            survey=True,
            end_requests=True,
            lasting_ids=True,
            knows_hashes=True,
        )

    def __enter__(self) -> Self:
        self._index.__enter__()
        self._api.client.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._api.client.__exit__(exc_type, exc_val, exc_tb)
        self._index.__exit__(exc_type, exc_val, exc_tb)

    def open(self, name: str) -> IO[bytes]:
        """Download a file, compare its checksum, and return it.

        Raises ``IntegrityError`` when paperless-ngx sends other bytes than it told of.
        """
        found = self._found(name, "open")
        with ExitStack() as stack:
            # A container with a read-only root may have no other folder for temporary files.
            folder = str(self._index.folder) if self._index.folder.is_dir() else None
            stream = stack.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder))
            kind = found.document.kind(found.key.kind)
            self._download(found, kind, cast("IO[bytes]", stream))
            self._prove(found, cast("IO[bytes]", stream))
            stream.seek(0)
            stack.pop_all()
            return cast("IO[bytes]", stream)

    def _download(self, found: IndexedFile, kind: Kind, stream: IO[bytes]) -> None:
        try:
            self._api.download(found.key.number, kind, stream)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(
                f"it cannot be kept beside the journal meanwhile: {error.strerror or error}",
                operation="read",
                name=found.name,
                storage=self.label,
                hint="There has to be room for the largest document, once for each connection",
            ) from error

    def _prove(self, found: IndexedFile, stream: IO[bytes]) -> None:
        told, size = found.document.file(found.key.kind), stream.tell()
        digest = digest_like(told.digest)
        stream.seek(0)
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
        if (size, digest.hexdigest()) == (told.size, told.digest):
            return
        self._on_other_bytes(found.key.number)
        raise IntegrityError(
            f"paperless-ngx sent {size} bytes that have not the checksum it told of",
            operation="read",
            name=found.name,
            storage=self.label,
            hint="It is asked again; if that stays so, its sanity checker finds the fault",
        )

    def exists(self, name: str) -> bool:
        """Say whether there is a file of this name."""
        check_name(name, storage=self.label, operation="look")
        return self._index.file(name) is not None

    def size(self, name: str) -> int:
        """Return the size in bytes; raise ``NotFoundError``."""
        return self.stat(name).size

    def stat(self, name: str) -> FileStat:
        """See ``SupportsStat``; asks nothing."""
        return _stat(self._found(name, "stat"))

    def list_files(self, prefix: str = "") -> Iterable[str]:
        """See ``DocumentStorage``."""
        return sorted(stat.name for stat in self.list_stats(prefix))

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """See ``SupportsListStats``."""
        folder = check_prefix(prefix, storage=self.label)
        found = (one for one in self.survey(folder) if isinstance(one, FileStat))
        return (one for one in found if is_below(one.name, folder))

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """See ``SupportsSurvey``.

        Raises what kept the list from being read, ``BusyError`` before it was read whole once.
        """
        place = check_prefix(prefix, storage=self.label)
        self._fault.check(self.label)
        troubles = self._index.troubles()
        if place and (alone := self._index.file(place)):
            yield _shown(alone, troubles)
        named = set[int]()
        for found in self._index.all_files():
            named.add(found.key.number)
            if is_below(found.name, place):
                yield _shown(found, troubles)
        for number in troubles.keys() - named:
            if is_below(nameless_name(number), place) or place == nameless_name(number):
                yield Obstacle(nameless_name(number), troubles[number])

    def end_requests(self, within: float) -> None:
        """See ``SupportsEndRequests``."""
        self._api.client.end_requests(within)

    def _found(self, name: str, operation: str) -> IndexedFile:
        check_name(name, storage=self.label, operation=operation)
        found = self._index.file(name)
        if found is None:
            raise NotFoundError(
                "there is no document of this name",
                operation=operation,
                name=name,
                storage=self.label,
            )
        return found

    def save(self, name: str, content: IO[bytes]) -> str:  # noqa: ARG002  # it is refused
        """Refuse: a mirror never writes to its source."""
        self._refuse("save", name)

    def delete(self, name: str) -> None:
        """Refuse: a mirror never writes to its source."""
        self._refuse("delete", name)

    def move(self, old_name: str, new_name: str) -> None:  # noqa: ARG002  # it is refused
        """Refuse: a mirror never writes to its source."""
        self._refuse("move", old_name)

    def _refuse(self, operation: str, name: str) -> NoReturn:
        raise StorageError(
            "the documents of paperless-ngx are only read here",
            operation=operation,
            name=name,
            storage=self.label,
        )


def _shown(found: IndexedFile, troubles: Mapping[int, str]) -> FileStat | Obstacle:
    if found.key.number in troubles:
        return Obstacle(found.name, troubles[found.key.number])
    if found.document.file(found.key.kind).size < 0:
        return Obstacle(found.name, MISSING)
    return _stat(found)


def _stat(found: IndexedFile) -> FileStat:
    file, kind = found.document.file(found.key.kind), found.key.kind
    return FileStat(
        name=found.name,
        size=file.size,
        modified_ns=found.document.listed.arrived_ns,
        etag=file.digest,
        file_id=f"{found.key.number} {kind}" if kind else str(found.key.number),
        sha256=file.sha256,
    )
