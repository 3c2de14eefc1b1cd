"""What every S3 test server offers, and another way to its objects."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
from botocore.config import Config

from paperfleet.secret import Secret
from paperfleet.storage.bucket.backends import S3CompatibleBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "documents"
_locations = itertools.count()


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with one bucket."""

    endpoint_url: str
    access_key: str
    secret_key: str
    bucket: str = BUCKET
    region: str = "us-east-1"
    _clients: list[Any] = field(default_factory=list, repr=False)

    @property
    def client(self) -> Any:  # noqa: ANN401 (boto3 has no types of its own)
        """A client of another maker."""
        if not self._clients:
            self._clients.append(
                boto3.client(
                    "s3",
                    endpoint_url=self.endpoint_url,
                    aws_access_key_id=self.access_key,
                    aws_secret_access_key=self.secret_key,
                    region_name=self.region,
                    config=Config(
                        s3={"addressing_style": "path"},
                        max_pool_connections=16,
                        # moto keeps the checksum of the parts for a copy that has none.
                        response_checksum_validation="when_required",
                    ),
                )
            )
        return self._clients[0]

    def options(self, location: str = "") -> dict[str, str]:
        """Return the options of a storage in this bucket; without a location it has its own."""
        return {
            "bucket_name": self.bucket,
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "location": location or new_location(),
        }

    def backend(self, **options: Any) -> S3CompatibleBackend:  # noqa: ANN401 (of any kind)
        """Return a storage in this bucket; without a location it has one of its own."""
        given: dict[str, Any] = self.options() | {
            "secret_key": Secret(self.secret_key),
            "timeout": 20,
        }
        return S3CompatibleBackend(**(given | options))

    def url(self, location: str) -> str:
        """Return the storage's address with all of its options but the secret key."""
        query = {
            "endpoint_url": self.endpoint_url,
            "access_key": self.access_key,
        }
        pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return f"s3://{self.bucket}/{quote(location)}?{pairs}"


def new_location() -> str:
    """Return a folder of keys that no test had before."""
    return f"root {next(_locations)}"


class S3Bypass:
    """The objects of a location, through boto3."""

    def __init__(self, server: S3Server, location: str) -> None:
        self._client = server.client
        self._bucket = server.bucket
        self._before = f"{location}/" if location else ""

    def read(self, name: str) -> bytes:
        """Return the content; raise ``FileNotFoundError``."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._before + name)
        except self._client.exceptions.NoSuchKey:
            raise FileNotFoundError(name) from None
        content: bytes = answer["Body"].read()
        return content

    def write(self, name: str, content: bytes, **more: object) -> None:
        """Make or replace an object."""
        key = self._before + name
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content, **more)

    def delete(self, name: str) -> None:
        """Remove an object."""
        self._client.delete_object(Bucket=self._bucket, Key=self._before + name)

    def noted(self, name: str) -> dict[str, str]:
        """Return the metadata of an object."""
        answer = self._client.head_object(Bucket=self._bucket, Key=self._before + name)
        metadata: dict[str, str] = answer["Metadata"]
        return metadata

    def names(self) -> set[str]:
        """Return the names of all objects, also of hidden ones."""
        return set(self._names())

    def _names(self) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._before):
            for item in page.get("Contents", []):
                yield item["Key"].removeprefix(self._before)

    def uploads(self) -> list[str]:
        """Return the keys of uploads in parts that were neither completed nor aborted."""
        answer = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=self._before)
        return [upload["Key"] for upload in answer.get("Uploads", [])]
