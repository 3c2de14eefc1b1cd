"""Copies from another bucket of the same service, made by the service itself."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from obstore.store import S3Store

from paperfleet.errors import TooLargeError
from paperfleet.storage.bucket.client import ObjectClient
from paperfleet.storage.bucket.copying import ONE_COPY

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

    from paperfleet.model import FileStat
    from paperfleet.storage.bucket.copying import BucketCopier
    from paperfleet.storage.bucket.namelocks import NameLocks


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
