"""Single requests to an object store, their errors translated."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import obstore
from obstore.exceptions import GenericError

from paperfleet.errors import NotFoundError, StorageError
from paperfleet.model import FileStat
from paperfleet.storage.bucket.digests import bare, is_md5
from paperfleet.storage.bucket.errors import translated
from paperfleet.storage.bucket.feeding import feed
from paperfleet.storage.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from obstore import Attributes, GetOptions, GetResult, ObjectMeta, PutMode
    from obstore.store import ObjectStore

    from paperfleet.storage.bucket.keys import Keys

SHA256 = "paperfleetsha256"
ETAG = "paperfleetetag"
SAVE = "paperfleetsave"
FROM = "paperfleetfrom"
"""Our metadata: SHA-256, the etag that proves it, what tells one save from another, and of which
state of its old name a moved object is.

Letters alone, as Azure takes no hyphens and proxies drop underscores.
"""
PAGE = 1000
_NOT_PARTIAL = "NotPartial"
"""obstore's word for an answer with all bytes where a part was asked for."""
CONFIRMED_FOR = 5.0
"""Seconds for which a bucket that answered counts as there."""


class FoundObject(NamedTuple):
    """An object: its size in bytes, time, etag, and what was noted with it."""

    size: int
    modified_ns: int
    etag: str | None
    noted: Attributes

    @property
    def sha256(self) -> str | None:
        """The SHA-256 that was noted when it was saved, if the store's own etag confirms it.

        The note carries the MD5-based etag of the same bytes, from the same request. When the
        store computed that very etag, it holds these bytes; any other way of writing the object
        drops the note or changes the etag.
        """
        proven = is_md5(self.etag) and self.noted.get(ETAG) == bare(self.etag)
        return self.noted.get(SHA256) if proven else None

    def stat(self, name: str) -> FileStat:
        """Return it as what a storage tells of a file."""
        return FileStat(name, self.size, self.modified_ns, self.etag, None, self.sha256)


class PutCondition(NamedTuple):
    """How to write an object; ``part`` is the size of parts in bytes, 0 for one request."""

    mode: PutMode = "overwrite"
    attributes: Attributes | None = None
    part: int = 0


class ObjectClient:
    """The requests that are made of one bucket.

    Every method takes the key of the object, and the operation and name for the text of an error.
    """

    def __init__(self, store: ObjectStore, keys: Keys, *, part: int, parallel: int) -> None:
        self.store = store
        self.keys = keys
        self.label = keys.label
        self.part = part
        self._parallel = parallel
        self.ranged = True
        self._confirmed = -CONFIRMED_FOR
        self._lock = threading.Lock()
        self._reach = Reach(self._lists)

    @contextmanager
    def asking(self, operation: str, name: str, *, work: bool = True) -> Iterator[None]:
        """Translate the errors of requests about one name; those that ``work`` show a store well.

        ``BusyError`` for what the store cannot do now with this name, while it answers for others.
        """
        with translated(operation, name, self.label, self._reach.judged):
            yield
        if work:
            self._reach.answered("PUT")

    def _lists(self) -> bool:
        """Say whether the store answers a listing."""
        try:
            next(iter(self.list(self.keys.work_folder)), None)
        except StorageError:
            return False
        return True

    def find(self, key: str, operation: str, name: str) -> FoundObject | None:
        """Return what is known of an object with one request; None when there is none."""
        try:
            with self.asking(operation, name, work=False):
                return found_of(obstore.get(self.store, key, options={"head": True}))
        except NotFoundError:
            self._confirm_bucket(operation)
            return None

    def look(self, key: str, operation: str, name: str) -> FoundObject:
        """Return what is known of an object; raise ``NotFoundError``."""
        found = self.find(key, operation, name)
        if found is None:
            raise self.missing(operation, name)
        return found

    def missing(self, operation: str, name: str) -> NotFoundError:
        """Return the error that there is no file of this name."""
        return NotFoundError(
            "there is no such file", operation=operation, name=name, storage=self.label
        )

    def _confirm_bucket(self, operation: str) -> None:
        """Raise ``NotAStorageError`` if the bucket is gone: a HEAD cannot tell it from a file."""
        with self._lock:
            if time.monotonic() - self._confirmed < CONFIRMED_FOR:
                return
        next(iter(self.list(self.keys.work_folder, operation)), None)
        self.bucket_answered()

    def bucket_answered(self) -> None:
        """Note that the bucket was there just now."""
        with self._lock:
            self._confirmed = time.monotonic()

    def get(self, key: str, name: str, start: int, end: int, etag: str | None = None) -> GetResult:
        """Begin to read the bytes from ``start`` to before ``end`` of the state with this etag.

        The answer's own range says which bytes come: all of them from a store that does not answer
        with a part (RFC 9110, 14.2), which is then not asked for one again (``ranged``).
        """
        with self.asking("open", name):
            if self.ranged:
                try:
                    return obstore.get(self.store, key, options=_options(etag, (start, end)))
                except GenericError as error:
                    if _NOT_PARTIAL not in str(error):
                        raise
                    self.ranged = False
            return obstore.get(self.store, key, options=_options(etag))

    def get_all(self, key: str) -> GetResult:
        """Begin to read a whole object; raises what obstore raises."""
        return obstore.get(self.store, key)

    def put(
        self, key: str, data: bytes, put: PutCondition, operation: str, name: str
    ) -> str | None:
        """Write an object with one request, whole or not at all; return its etag."""
        with self.asking(operation, name):
            result = obstore.put(
                self.store,
                key,
                data,
                attributes=put.attributes,
                mode=put.mode,
                use_multipart=False,
            )
        return result["e_tag"]

    def put_parts(
        self, key: str, content: Iterable[bytes], put: PutCondition, operation: str, name: str
    ) -> None:
        """Write an object in parts of ``put.part`` bytes, whole or not at all.

        When it fails, also by the content, the parts that were sent are removed from the store.
        """

        def send(pieces: Iterator[bytes]) -> None:
            obstore.put(
                self.store,
                key,
                pieces,
                attributes=put.attributes,
                use_multipart=True,
                chunk_size=put.part,
                max_concurrency=self._parallel,
            )

        with self.asking(operation, name):
            feed(content, send)

    def copy(
        self, key: str, new_key: str, operation: str, name: str, *, overwrite: bool = True
    ) -> None:
        """Copy an object inside of the bucket, at most 5 GB, with all that is noted with it."""
        with self.asking(operation, name):
            obstore.copy(self.store, key, new_key, overwrite=overwrite)

    def delete(self, key: str, operation: str, name: str) -> None:
        """Delete an object; a missing one is fine on some stores, ``NotFoundError`` on others."""
        with self.asking(operation, name):
            obstore.delete(self.store, key)

    def list(self, folder: str | None, operation: str = "list") -> Iterator[ObjectMeta]:
        """Yield what is below a folder of keys, page by page."""
        with translated(operation, "", self.label):
            for page in obstore.list(self.store, folder, chunk_size=PAGE):
                yield from page


def _options(etag: str | None, span: tuple[int, int] | None = None) -> GetOptions:
    options: GetOptions = {}
    if span:
        options["range"] = span
    if etag:
        options["if_match"] = etag
    return options


def found_of(answer: GetResult) -> FoundObject:
    """Return what an answer tells of its object."""
    meta = answer.meta
    return FoundObject(meta["size"], modified_ns(meta), etag_of(meta), dict(answer.attributes))


def modified_ns(meta: ObjectMeta) -> int:
    """Return the time of the last change, in nanoseconds since the epoch, to the second.

    Listings may tell it more exactly than the header Last-Modified (RFC 9110, 8.8.2).
    """
    return int(meta["last_modified"].timestamp()) * 1_000_000_000


def etag_of(meta: ObjectMeta) -> str | None:
    """Return the etag in quotes, as conditions take it; some listings leave them out."""
    etag = meta["e_tag"]
    return etag if not etag or etag.endswith('"') else f'"{etag}"'
