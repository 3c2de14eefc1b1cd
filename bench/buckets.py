"""S3 servers to measure against, and folders of keys in them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.moto_server import moto_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary

from bench.object_clients import REGION, Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.s3 import S3Server

RCLONE = "rclone serve s3"
MOTO = "moto (Python)"
_numbers = count(1)


class Running(NamedTuple):
    """A server that runs, and its name in tables."""

    title: str
    server: S3Server

    def bucket(self, endpoint_url: str = "") -> Bucket:
        """Return a folder that was not used before, reached by this address."""
        server = self.server
        return Bucket(
            endpoint_url or server.endpoint_url,
            server.access_key,
            server.secret_key,
            server.bucket,
            f"run-{next(_numbers)}",
        )


@contextmanager
def fast_server() -> Iterator[Running]:
    """Run the faster one: rclone, which is compiled; without it moto."""
    if rclone_binary() is None:
        with moto_server() as server:
            yield Running(MOTO, server)
        return
    with rclone_s3_server() as server:
        yield Running(RCLONE, server)


@contextmanager
def ranged_server() -> Iterator[Running]:
    """Run moto, which answers with parts of objects; rclone answers with all of them."""
    with moto_server() as server:
        yield Running(MOTO, server)


def our_environment(bucket: Bucket, variable: str) -> dict[str, str]:
    """Return the environment in which the storage of ``address`` has its keys."""
    keys = {
        "access_key": bucket.access_key,
        "secret_key": bucket.secret_key,
        "region_name": REGION,
    }
    return {variable: json.dumps(keys)}


def address(bucket: Bucket) -> str:
    """Return what `paperfleet migrate` calls it."""
    return f"s3://{bucket.bucket}/{bucket.location}?endpoint_url={bucket.endpoint_url}"


def rclone_environment(bucket: Bucket) -> dict[str, str]:
    """Return the environment in which rclone calls the server ``bench:``."""
    return {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
        "RCLONE_CONFIG_BENCH_ENDPOINT": bucket.endpoint_url,
        "RCLONE_CONFIG_BENCH_REGION": REGION,
        "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": bucket.access_key,
        "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": bucket.secret_key,
    }
