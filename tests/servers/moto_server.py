"""moto's S3 server, in a process of its own, which all tests of a process and a network share."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.base import HOST, free_port, server_process
from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


@contextlib.contextmanager
def moto_server() -> Iterator[S3Server]:
    """Give out moto's server with an empty bucket. It checks neither keys nor checksums."""
    network = Path("/proc/thread-self/ns/net").stat().st_ino
    server = S3Server(
        _endpoint(network), "testing-key", "testing-secret", f"documents-{next(_numbers)}"
    )
    server.client.create_bucket(Bucket=server.bucket)
    try:
        yield server
    finally:
        _empty(server)


@cache
def _endpoint(_network: int) -> str:
    """Start the server of a network (namespaces(7)), which ends with this process."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(TemporaryDirectory(prefix="moto-"))
    port = free_port()
    command = [sys.executable, "-m", "tests.servers.moto_process", "-H", HOST, "-p", str(port)]
    stack.enter_context(server_process(command, port, Path(folder) / "log"))
    return f"http://{HOST}:{port}"


def _empty(server: S3Server) -> None:
    """Remove what the server would keep in its memory until it ends."""
    pages = server.client.get_paginator("list_objects_v2").paginate(Bucket=server.bucket)
    for page in pages:
        if keys := [{"Key": one["Key"]} for one in page.get("Contents", [])]:
            server.client.delete_objects(Bucket=server.bucket, Delete={"Objects": keys})
