"""Copies inside of a bucket, and from another one of the same service, by the store itself."""

from __future__ import annotations

import os
import threading
import uuid
from typing import TYPE_CHECKING, NamedTuple

from obstore.store import S3Store

from paperfleet.errors import AlreadyExistsError, IntegrityError, TooLargeError
from paperfleet.storage.bucket import client as requests
from paperfleet.storage.bucket.client import ObjectClient, PutCondition
from paperfleet.storage.bucket.digests import bare, digests_of, part_size, pieces
from paperfleet.storage.bucket.reading import open_object, read_whole

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import ClientConfig, RetryConfig, S3Config

    from paperfleet.model import FileStat
    from paperfleet.storage.bucket.client import FoundObject
    from paperfleet.storage.bucket.features import Probe
    from paperfleet.storage.bucket.reading import Whole
    from paperfleet.storage.namelocks import NameLocks


class Service(NamedTuple):
    """How a bucket of S3 is reached, to reach a second one in the same way."""

    bucket: str
    config: S3Config
    client: ClientConfig
    retry: RetryConfig

    def store(self) -> S3Store:
        """Return the bucket."""
        return S3Store(
            self.bucket, config=self.config, client_options=self.client, retry_config=self.retry
        )

    def who(self) -> tuple[object, ...]:
        """Return what two buckets share that can be copied between: place, region and key."""
        config = self.config
        endpoint = config.get("endpoint", "").replace(f"//{self.bucket}.", "//")
        return endpoint, config.get("region"), config.get("access_key_id")

    def store_from(self, bucket: str) -> S3Store:
        """Return a store whose copies come from that bucket and arrive in this one.

        obstore copies inside of one bucket: it names it as the source, and sends the request to its
        address (Amazon S3 API reference, CopyObject: the target is the address, the source a
        header). So this one has the name of the other bucket and the address of this one.
        """
        config = self.config.copy()
        config["endpoint"] = self.address() or ""
        config["virtual_hosted_style_request"] = True  # the address is that of a bucket already
        return S3Store(bucket, config=config, client_options=self.client, retry_config=self.retry)

    def address(self) -> str | None:
        """Return the address of this bucket; None where only obstore knows the region."""
        endpoint = self.config.get("endpoint")
        virtual = self.config.get("virtual_hosted_style_request")
        if endpoint:
            return endpoint if virtual else f"{endpoint}/{self.bucket}"
        names = ("AWS_REGION", "AWS_DEFAULT_REGION")
        region = self.config.get("region") or next(filter(None, map(os.environ.get, names)), None)
        if region is None:
            return None
        host = f"s3.{region}.amazonaws.com"
        return f"https://{self.bucket}.{host}" if virtual else f"https://{host}/{self.bucket}"


class Crossing:
    """Copies files into one bucket from others of its service; ``service`` is None without one."""

    def __init__(
        self, client: ObjectClient, copier: BucketCopier, locks: NameLocks, service: Service | None
    ) -> None:
        self.client = client
        self.service = service
        self._copier = copier
        self._locks = locks
        self._lock = threading.Lock()
        self._clients: dict[str, ObjectClient] = {}

    def reaches(self, other: Crossing) -> bool:
        """Say whether both buckets are at one endpoint, in one region, with one key."""
        one, two = self.service, other.service
        if one is None or two is None or one.who() != two.who():
            return False
        return one.bucket == two.bucket or one.address() is not None

    def copy(self, other: Crossing, old_name: str, new_name: str) -> FileStat:
        """Replace a file here by one of there, and return it; ``reaches`` has said that it can.

        Raises ``NotFoundError``, ``TooLargeError`` above 5 GB, ``IntegrityError``.
        """
        key = other.client.keys.found(old_name, "copy")
        new_key = self.client.keys.saved(new_name, "copy")
        source = other.client.look(key, "copy", old_name)
        if source.size > ONE_COPY:
            raise TooLargeError(
                "no store copies more than 5 GB with one request",
                operation="copy",
                name=old_name,
                storage=self.client.label,
            )
        with self._locks.holding(new_name):
            self._client_for(other).copy(key, new_key, "copy", new_name)
            return self._copier.compared(source, new_key, "copy", new_name).stat(new_name)

    def _client_for(self, other: Crossing) -> ObjectClient:
        ours, theirs = self.service, other.service
        if ours is None or theirs is None or ours.bucket == theirs.bucket:
            return self.client
        with self._lock:
            if theirs.bucket not in self._clients:
                store = ours.store_from(theirs.bucket)
                self._clients[theirs.bucket] = ObjectClient(
                    store, self.client.keys, part=self.client.part, parallel=1
                )
            return self._clients[theirs.bucket]


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
