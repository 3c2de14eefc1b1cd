"""Copies inside of a bucket, by the store itself where it can."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import AlreadyExistsError, IntegrityError
from paperfleet.storage.bucket import client as requests
from paperfleet.storage.bucket.client import PutCondition
from paperfleet.storage.bucket.digests import bare, digests_of, part_size, pieces
from paperfleet.storage.bucket.reading import open_object, read_whole

if TYPE_CHECKING:
    from obstore import Attributes

    from paperfleet.storage.bucket.client import FoundObject, ObjectClient
    from paperfleet.storage.bucket.features import Probe
    from paperfleet.storage.bucket.reading import Whole

ONE_COPY = 5 * 10**9
"""Bytes that a store copies with one request (Amazon S3 API reference, CopyObject)."""
THROUGH_MEMORY = 64 << 20
"""Bytes up to which an object is read and written to be placed with a condition."""


class Origin(NamedTuple):
    """What is noted with a copy: the token of the move that made it, and the state it is of."""

    token: str
    state: str


class BucketCopier:
    """Copies objects with what is noted with them, and compares the copies."""

    def __init__(self, client: ObjectClient, probe: Probe, *, one_copy: int = ONE_COPY) -> None:
        self._client = client
        self._probe = probe
        self._one_copy = one_copy

    def replace(
        self, source: FoundObject, key: str, new_key: str, operation: str, name: str
    ) -> None:
        """Copy over whatever is there; raise ``NotFoundError``, ``IntegrityError``.

        Above 5 GB, which no store copies with one request, the bytes go through here in parts.
        """
        if source.size > self._one_copy:
            self._stream(source, key, new_key, operation, name)
        else:
            self._client.copy(key, new_key, operation, name)
        self.compared(source, new_key, operation, name)

    def create(
        self, source: FoundObject, key: str, new_key: str, operation: str, name: str
    ) -> None:
        """Copy to where nothing is; raise ``AlreadyExistsError``, ``NotFoundError``.

        The store ensures it, where it has conditional copies; else, up to 64 MiB, by a conditional
        write of what was read; else it is looked up right before.
        """
        features = self._probe.features()
        if features.copy_new and source.size <= self._one_copy:
            self._client.copy(key, new_key, operation, name, overwrite=False)
        elif features.create and source.size <= THROUGH_MEMORY:
            self._write(source, key, new_key, operation, name)
        elif self._client.find(new_key, operation, name):
            raise AlreadyExistsError(
                "the name is taken", operation=operation, name=name, storage=self._client.label
            )
        else:
            self.replace(source, key, new_key, operation, name)
            return
        self.compared(source, new_key, operation, name)

    def reads_to_copy(self) -> bool:
        """Say whether ``create`` reads small objects, as the store has no conditional copies."""
        features = self._probe.features()
        return features.create and not features.copy_new

    def read(self, key: str, operation: str, name: str) -> Whole:
        """Return an object for ``place``, without its bytes where they are too many."""
        return read_whole(self._client, key, name, operation, THROUGH_MEMORY)

    def place(
        self,
        source: FoundObject,
        data: bytes,
        new_key: str,
        operation: str,
        name: str,
        origin: Origin,
    ) -> None:
        """Write what was read to where nothing is, and prove it; raise ``AlreadyExistsError``.

        Raises ``IntegrityError`` also when what was read is not what was once saved there. The
        store's etag proves the arrival where it is the MD5 of what was sent; else it is looked at.
        """
        digests = digests_of(data)
        if digests.count != source.size or source.sha256 not in {None, digests.sha256}:
            raise self._damaged(operation, name)
        noted = {requests.SHA256: digests.sha256, requests.ETAG: digests.etag}
        noted |= {requests.SAVE: origin.token, requests.FROM: origin.state}
        etag = self._put_new(data, {**source.noted, **noted}, new_key, operation, name)
        if bare(etag) != digests.etag:
            self.compared(source, new_key, operation, name)

    def _damaged(self, operation: str, name: str) -> IntegrityError:
        return IntegrityError(
            "what was read is not what was once saved: the file is damaged in the store",
            operation=operation,
            name=name,
            storage=self._client.label,
            hint="Nothing was changed. Bring it back from a backup",
        )

    def _write(
        self, source: FoundObject, key: str, new_key: str, operation: str, name: str
    ) -> None:
        with open_object(self._client, key, name) as stream:
            data = stream.read()
        noted = {**source.noted, requests.SAVE: uuid.uuid4().hex}
        self._put_new(data, noted, new_key, operation, name)

    def _put_new(
        self, data: bytes, noted: Attributes, new_key: str, operation: str, name: str
    ) -> str | None:
        try:
            return self._client.put(new_key, data, PutCondition("create", noted), operation, name)
        except AlreadyExistsError:
            # The first try of a request that was sent again may have been what made it so.
            found = self._client.find(new_key, operation, name)
            if found is None or found.noted.get(requests.SAVE) != noted[requests.SAVE]:
                raise
            return found.etag

    def _stream(
        self, source: FoundObject, key: str, new_key: str, operation: str, name: str
    ) -> None:
        put = PutCondition(attributes=source.noted, part=part_size(source.size, self._client.part))
        with open_object(self._client, key, name) as stream:
            self._client.put_parts(new_key, pieces(stream), put, operation, name)

    def compared(self, source: FoundObject, new_key: str, operation: str, name: str) -> FoundObject:
        """Return the copy; raise ``IntegrityError`` unless it is what was copied.

        Its size has to be the same, and its etag where the source's is proven to be the MD5 of its
        bytes. (The etag of an object in parts becomes another one by a copy.)
        """
        copy = self._client.look(new_key, operation, name)
        proven = source.sha256 is not None and "-" not in bare(source.etag)
        other = proven and "-" not in bare(copy.etag) and bare(copy.etag) != bare(source.etag)
        if copy.size != source.size or other:
            raise IntegrityError(
                "the copy is not what was to be copied: the file changed meanwhile, or was damaged",
                operation=operation,
                name=name,
                storage=self._client.label,
                hint="Nothing was deleted, as the copy may be another host's file by now",
            )
        return copy
