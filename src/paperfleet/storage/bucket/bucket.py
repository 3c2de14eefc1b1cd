"""A bucket as a document storage: what the backends of all object stores are."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Self

import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from paperfleet.errors import AlreadyExistsError, NotAStorageError, NotFoundError, StorageError
from paperfleet.model import BegunMove, Capabilities
from paperfleet.storage.bucket.client import ObjectClient
from paperfleet.storage.bucket.copying import BucketCopier, Crossing
from paperfleet.storage.bucket.diagnosis import BucketChecks
from paperfleet.storage.bucket.errors import translated
from paperfleet.storage.bucket.features import Features, Probe
from paperfleet.storage.bucket.keys import Keys, normal_location
from paperfleet.storage.bucket.listing import BucketListing
from paperfleet.storage.bucket.moving import Begun, BucketMover
from paperfleet.storage.bucket.reading import open_object
from paperfleet.storage.bucket.saving import BucketSaver
from paperfleet.storage.namelocks import NameLocks
from paperfleet.storage.names import check_prefix
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from obstore.store import ObjectStore

    from paperfleet.diagnosis import Check
    from paperfleet.model import FileStat, Obstacle, Precondition, Upload
    from paperfleet.storage.bucket.copying import Service
    from paperfleet.storage.protocol import DocumentStorage

PART = 8 << 20
"""Bytes of a part, and of the largest file that is sent with one request."""
PARALLEL = 4
"""Parts of one upload on their way at the same time."""
LONGEST_LINK = 7 * 24 * 3600
"""Seconds (Amazon S3 user guide, "Sharing objects with presigned URLs")."""


class ObjectStoreBackend:
    """Documents in a bucket, below one location, on any store that obstore speaks to.

    A save is one request up to ``part_size`` bytes and an upload in parts above; either way the
    store shows all of it or nothing. Memory stays at a few parts. What arrived is proven by the
    store's etag where that is an MD5, else by its size. ``move`` copies inside of the store,
    compares, and deletes; see ``objects.moving`` for what a cut-off one leaves.

    ``save_with`` and ``move`` to a new name never overwrite, on any host, where the store has
    conditional writes (``capabilities.conditional_create``, tried out by the first such write).
    Where it has none they hold among the threads of this object; another host can come in between
    for some milliseconds.

    There are no folders: a file and files "below" it live side by side, and so they do here.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        label: str,
        location: str = "",
        part_size: int = PART,
        features: Features | None = None,
        presigns: bool = True,
        service: Service | None = None,
    ) -> None:
        self.label = label
        self._presigns = presigns
        self._keys = Keys(normal_location(location), label)
        self._client = ObjectClient(store, self._keys, part=part_size, parallel=PARALLEL)
        self._probe = Probe(self._client, features)
        self._locks = NameLocks()
        self._copier = BucketCopier(self._client, self._probe)
        self.crossing = Crossing(self._client, self._copier, self._locks, service)
        self._listing = BucketListing(self._client, service, self.exists)
        self._saver = BucketSaver(self._client, self._probe, self._copier)
        self._mover = BucketMover(
            self._client, self._probe, self._copier, self._locks, self._saver.content_sha256
        )

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do; asks the store nothing.

        ``ranged_read`` is learned from the first file that is opened, ``conditional_create`` from
        the first write with a condition.
        """
        return Capabilities(
            stat=True,
            list_stats=True,
            survey=True,
            save_with=True,
            content_hash=True,
            sweep=True,
            copy=True,
            presign=self._presigns,
            entry=True,
            move_in_two=True,
            checks=True,
            copy_from=self.crossing.service is not None,
            ranged_read=self._client.ranged,
            conditional_create=self._probe.creates,
        )

    def checks(self) -> list[Check]:
        """Return what can be looked at (``SupportsChecks``)."""
        look = BucketChecks(self._client, self._listing, self._probe, self._saver.prover)
        return look.checks(self.crossing.service)

    def name_fault(self, name: str) -> str:
        """Return why this name would be refused, '' for nothing known (``SupportsChecks``)."""
        try:
            self._keys.saved(name, "save")
        except StorageError as error:
            return error.reason
        return ""

    def __enter__(self) -> Self:
        """Open a block; sends nothing, as connections are opened when they are needed."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Leave the block; idle connections close by themselves."""
        self._listing.close()

    def open(self, name: str) -> IO[bytes]:
        """Return a seekable binary stream that reads by ranges; raise ``NotFoundError``."""
        return open_object(self._client, self._keys.found(name, "open"), name)

    def save(self, name: str, content: IO[bytes]) -> str:
        """Store all that ``content`` yields, replacing what was there; return the name."""
        key = self._keys.saved(name, "save")
        with self._locks.holding(name):
            self._saver.save(key, name, content)
        return name

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save under a condition; return what the store then has (``SupportsSaveWith``)."""
        key = self._keys.saved(name, "save")
        with self._locks.holding(name):
            return self._saver.save_with(key, name, upload, expect)

    def delete(self, name: str) -> None:
        """Remove the file; raise ``NotFoundError``."""
        key = self._keys.found(name, "delete")
        with self._locks.holding(name):
            self._client.look(key, "delete", name)
            self._client.delete(key, "delete", name)

    def exists(self, name: str) -> bool:
        """Say whether there is a file of this name."""
        try:
            key = self._keys.found(name, "exists")
        except NotFoundError:
            return False
        return self._client.find(key, "exists", name) is not None

    def move(self, old_name: str, new_name: str) -> None:
        """Rename; raise ``NotFoundError`` for the old name, ``AlreadyExistsError`` for the new."""
        self._mover.move(old_name, new_name)

    def begin_move(self, old_name: str, new_name: str) -> BegunMove:
        """Claim a move and read its file (``SupportsMoveInTwo``)."""
        begun = self._mover.begin(old_name, new_name)
        return BegunMove(begun.found.stat(old_name), new_name, begun)

    def end_move(self, begun: BegunMove) -> None:
        """Carry out a move that was begun (``SupportsMoveInTwo``)."""
        if isinstance(begun.content, Begun):
            self._mover.end(begun.content, begun.file.name, begun.new_name)
        else:
            self.move(begun.file.name, begun.new_name)

    def leave_move(self, begun: BegunMove) -> None:
        """Let go of a move that was begun (``SupportsMoveInTwo``)."""
        if isinstance(begun.content, Begun):
            self._mover.leave(begun.content)

    def entry(self, name: str) -> FileStat | bool:
        """Return the file of this name, else whether there are some below (``SupportsEntry``).

        One request where the store itself can be listed (any S3 whose key is known), else two.
        """
        try:
            key = self._keys.found(name, "exists")
        except NotFoundError:
            return False
        if raw := self._listing.raw:
            return self._listing.entry(raw, key, name)
        found = self._client.find(key, "exists", name)
        return found.stat(name) if found else next(self.list_files(name), None) is not None

    def copy(self, old_name: str, new_name: str) -> None:
        """Copy inside of the store (``SupportsCopy``)."""
        key = self._keys.found(old_name, "copy")
        new_key = self._keys.saved(new_name, "copy")
        with self._locks.holding(old_name, new_name):
            source = self._client.look(key, "copy", old_name)
            if self._client.find(new_key, "copy", new_name):
                raise AlreadyExistsError(
                    "the name is taken", operation="copy", name=new_name, storage=self.label
                )
            self._copier.create(source, key, new_key, "copy", new_name)

    def can_copy_from(self, source: DocumentStorage) -> bool:
        """Say whether ``source`` is a bucket of the same service, with the same key."""
        return isinstance(source, ObjectStoreBackend) and self.crossing.reaches(source.crossing)

    def copy_from(self, source: DocumentStorage, old_name: str, new_name: str) -> FileStat:
        """Replace a file by one of another bucket (``SupportsCopyFrom``)."""
        if not (isinstance(source, ObjectStoreBackend) and self.can_copy_from(source)):
            raise NotAStorageError(
                "this store cannot copy from there", operation="copy", storage=self.label
            )
        return self.crossing.copy(source.crossing, old_name, new_name)

    def size(self, name: str) -> int:
        """Return the size in bytes; raise ``NotFoundError``."""
        return self._client.look(self._keys.found(name, "size"), "size", name).size

    def stat(self, name: str) -> FileStat:
        """Return size, time, etag and proven SHA-256 of one file; raise ``NotFoundError``."""
        return self._client.look(self._keys.found(name, "stat"), "stat", name).stat(name)

    def list_files(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below a folder, sorted, page by page."""
        check_prefix(prefix, storage=self.label)
        return (item.name for item in self._listing.files(prefix))

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """Yield every file below a folder; without SHA-256, which listings do not tell."""
        check_prefix(prefix, storage=self.label)
        return self._listing.files(prefix)

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """Yield every file at or below ``prefix`` (``SupportsSurvey``).

        Obstacles are keys that are no names: with an empty, ``.`` or ``..`` segment, a control
        character, or a slash at the end of an object with content.
        """
        name = check_prefix(prefix, storage=self.label)
        if name and self.exists(name):
            yield self.stat(name)
        yield from self._listing.items(prefix, exact=True)

    def content_sha256(self, name: str) -> str:
        """Return the SHA-256 of the stored bytes; raise ``NotFoundError``.

        It is the one noted at the save, when the store's own etag proves it; else they are read.
        """
        key = self._keys.found(name, "hash")
        found = self._client.look(key, "hash", name)
        return found.sha256 or self._saver.content_sha256(key, name)

    def presigned_url(self, name: str, expires_in: float = 3600) -> str:
        """Return an address that lets anybody read the file (``SupportsPresign``)."""
        key = self._keys.found(name, "presign")
        store = self._client.store
        if not isinstance(store, S3Store | GCSStore | AzureStore):
            raise NotAStorageError("this store has no signed addresses", storage=self.label)
        if not 0 < expires_in <= LONGEST_LINK:
            raise ValueError(f"a signed address is valid for at most {LONGEST_LINK} seconds")
        with translated("presign", name, self.label):
            return obstore.sign(store, "GET", key, timedelta(seconds=expires_in))

    def sweep(self, older_than: float) -> int:
        """Finish or undo moves and remove uploads that were cut off so many seconds ago.

        Those that this process is writing stay.
        Parts of uploads that a kill cut off cannot be listed through obstore: let a lifecycle rule
        of the bucket remove incomplete multipart uploads after some days.
        """
        count = self._mover.settle_all(older_than)
        for meta in list(self._client.list(self._keys.work_folder, "sweep")):
            kind = meta["path"].rpartition("/")[2].partition("-")[0]
            old_enough = time.time() - meta["last_modified"].timestamp() >= older_than
            if kind in {"save", "probe"} and old_enough and meta["path"] not in IN_USE:
                self._client.delete(meta["path"], "sweep", "")
                count += 1
        return count
