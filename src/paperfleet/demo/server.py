"""A WebDAV server on loopback: WsgiDAV on cheroot."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, NamedTuple

from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
STOP_SECONDS = 5.0


class DemoAccount(NamedTuple):
    """Who may use the server."""

    user: str
    password: str


@contextlib.contextmanager
def webdav_server(root: Path, account: DemoAccount) -> Iterator[str]:
    """Serve the folder on a free port of loopback until the block ends; yield its URL."""
    logging.getLogger("wsgidav").setLevel(logging.CRITICAL)
    server = wsgi.Server((HOST, 0), _application(root, account), numthreads=8, shutdown_timeout=1)
    server.prepare()
    thread = threading.Thread(target=server.serve, name="webdav", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.bind_addr[1]}/"
    finally:
        server.stop()
        thread.join(STOP_SECONDS)


def _application(root: Path, account: DemoAccount) -> WsgiDAVApp:
    return WsgiDAVApp(
        {
            "provider_mapping": {"/": str(root)},
            "simple_dc": {"user_mapping": {"*": {account.user: {"password": account.password}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False},
            "dir_browser": {"enable": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
