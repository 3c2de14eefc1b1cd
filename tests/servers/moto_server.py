"""moto's S3 server, in a process of its own: its state is reset with it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.base import HOST, free_port, server_process
from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def moto_server() -> Iterator[S3Server]:
    """Run moto's server with an empty bucket. It checks neither keys nor checksums."""
    with TemporaryDirectory(prefix="moto-") as temp:
        port = free_port()
        command = [sys.executable, "-m", "tests.servers.moto_process", "-H", HOST, "-p", str(port)]
        with server_process(command, port, Path(temp) / "log"):
            server = S3Server(f"http://{HOST}:{port}", "testing-key", "testing-secret")
            server.client.create_bucket(Bucket=server.bucket)
            yield server
