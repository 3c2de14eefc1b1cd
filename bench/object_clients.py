"""The ways to a bucket that are compared, each as its users would write it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import obstore
from obstore.store import S3Store

from paperfleet.secret import Secret
from paperfleet.storage.bucket.backends import S3CompatibleBackend
from paperfleet.storage.bucket.bucket import PARALLEL, PART

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REGION = "us-east-1"


class Bucket(NamedTuple):
    """A folder of keys in a bucket on a server of this machine."""

    endpoint_url: str
    access_key: str
    secret_key: str
    bucket: str
    location: str


class ObjectClient(Protocol):
    """What is measured; names are below the location."""

    def put(self, name: str, data: bytes) -> object: ...
    def get(self, name: str) -> bytes: ...
    def head(self, name: str) -> int: ...
    def move(self, old: str, new: str) -> None: ...
    def list(self, folder: str) -> int: ...


class Ours:
    """A document storage."""

    def __init__(self, bucket: Bucket) -> None:
        self.storage = S3CompatibleBackend(
            bucket.bucket,
            endpoint_url=bucket.endpoint_url,
            region_name=REGION,
            access_key=bucket.access_key,
            secret_key=Secret(bucket.secret_key),
            location=bucket.location,
        )

    def put(self, name: str, data: bytes) -> object:
        return self.storage.save(name, io.BytesIO(data))

    def get(self, name: str) -> bytes:
        with self.storage.open(name) as stream:
            return stream.read()

    def head(self, name: str) -> int:
        return self.storage.size(name)

    def move(self, old: str, new: str) -> None:
        self.storage.move(old, new)

    def list(self, folder: str) -> int:
        return sum(1 for _ in self.storage.list_files(folder))


class Bare:
    """obstore by itself: nothing is compared afterwards, a move is a copy and a delete."""

    def __init__(self, bucket: Bucket) -> None:
        self._before = f"{bucket.location}/"
        self._store = S3Store(
            bucket.bucket,
            endpoint=bucket.endpoint_url,
            access_key_id=bucket.access_key,
            secret_access_key=bucket.secret_key,
            region=REGION,
            client_options={"allow_http": True},
        )

    def put(self, name: str, data: bytes) -> object:
        return obstore.put(self._store, self._before + name, data, use_multipart=False)

    def save(self, name: str, path: Path) -> object:
        """Save a large file in parts as large, and as many at a time, as ours."""
        return obstore.put(
            self._store,
            self._before + name,
            path,
            use_multipart=True,
            chunk_size=PART,
            max_concurrency=PARALLEL,
        )

    def get(self, name: str) -> bytes:
        return bytes(obstore.get(self._store, self._before + name).bytes())

    def head(self, name: str) -> int:
        return obstore.head(self._store, self._before + name)["size"]

    def move(self, old: str, new: str) -> None:
        obstore.rename(self._store, self._before + old, self._before + new)

    def list(self, folder: str) -> int:
        return sum(len(page) for page in obstore.list(self._store, self._before + folder))


class Django:
    """django-storages on boto3; it has no move, so a file is read, saved and deleted."""

    def __init__(self, bucket: Bucket) -> None:
        from django.conf import settings  # noqa: PLC0415  # slow to import
        from django.core.files.base import ContentFile  # noqa: PLC0415
        from storages.backends.s3 import S3Storage  # noqa: PLC0415

        settings.configure()
        self._content: Callable[[bytes], Any] = ContentFile
        self.storage = S3Storage(
            bucket_name=bucket.bucket,
            endpoint_url=bucket.endpoint_url,
            region_name=REGION,
            access_key=bucket.access_key,
            secret_key=bucket.secret_key,
            location=bucket.location,
            addressing_style="path",
        )

    def put(self, name: str, data: bytes) -> object:
        return self.storage.save(name, self._content(data))

    def get(self, name: str) -> bytes:
        with self.storage.open(name) as file:
            content: bytes = file.read()
            return content

    def head(self, name: str) -> int:
        size: int = self.storage.size(name)
        return size

    def move(self, old: str, new: str) -> None:
        with self.storage.open(old) as file:
            self.storage.save(new, file)
        self.storage.delete(old)

    def list(self, folder: str) -> int:
        return len(self.storage.listdir(folder)[1])


CLIENTS: dict[str, Callable[[Bucket], ObjectClient]] = {
    "paperfleet": Ours,
    "bare obstore": Bare,
    "django-storages": Django,
}
