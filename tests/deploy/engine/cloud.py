"""A WebDAV server beside the containers of a test: where a mirror brings documents."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.deploy.engine.images import Images

ADDRESS = "cloud:8080"
USER, PASSWORD = "alice", "an app password of alice"


@contextlib.contextmanager
def cloud(images: Images, network: str) -> Iterator[Callable[[], list[str]]]:
    """Run it in a network of the engine; yield what lists its files, as ``/Archive/a.pdf``."""
    rclone = next(name for name, kind in images.standins.items() if kind == "rclone")
    words = ("--detach", "--network", network, "--network-alias", ADDRESS.partition(":")[0])
    serve = ("serve", "webdav", "/cloud", "--addr", ":8080", "--user", USER, "--pass", PASSWORD)
    run = ("run", *words, "--tmpfs", "/cloud", rclone, *serve)
    identity = images.engine.docker(*run).strip()
    find = ("exec", identity, "find", "/cloud", "-type", "f", "-printf", "/%P\n")
    try:
        yield lambda: images.engine.docker(*find).splitlines()
    finally:
        images.engine.docker("rm", "--force", identity)
