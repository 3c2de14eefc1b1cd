"""WsgiDAV on cheroot, in a thread of this process."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cheroot import wsgi
from tests.servers.base import HOST, RecordedRequest, RequestLog, WebDavServer, server_thread
from wsgidav.wsgidav_app import WsgiDAVApp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

USER = "alice"
PASSWORD = "s3cret pass"  # a space, so that a client which forgets to encode it is found


@contextlib.contextmanager
def wsgidav_server(
    root: Path | None = None,
    *,
    user: str = USER,
    password: str = PASSWORD,
    around: Callable[[WSGIApplication, Path], WSGIApplication] = lambda application, _: application,
) -> Iterator[WebDavServer]:
    """Serve `root`, or a temporary folder, with WsgiDAV; `around` may change what it is asked."""
    with TemporaryDirectory(prefix="wsgidav-") as temp:
        folder = root or Path(temp)
        requests = RequestLog()
        with _listening(
            _Counter(around(_application(folder, user, password), folder), requests)
        ) as port:
            url = f"http://{HOST}:{port}/"
            yield WebDavServer(url, user, password, folder, "wsgidav", True, requests)


class _Counter:
    """WSGI middleware that notes method and path of each request."""

    def __init__(self, application: WSGIApplication, requests: RequestLog) -> None:
        self._application = application
        self._requests = requests

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = unquote(str(environ["REQUEST_URI"]))
        self._requests.add(RecordedRequest(environ["REQUEST_METHOD"], path.lstrip("/")))
        return self._application(environ, start_response)


def _application(root: Path, user: str, password: str) -> WSGIApplication:
    logging.getLogger("wsgidav").setLevel(logging.CRITICAL)
    application: WSGIApplication = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(root)},
            "simple_dc": {"user_mapping": {"*": {user: {"password": password}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False},
            "dir_browser": {"enable": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
    return application


@contextlib.contextmanager
def _listening(application: WSGIApplication) -> Iterator[int]:
    server = wsgi.Server((HOST, 0), application, numthreads=8, timeout=5, shutdown_timeout=1)
    server.expiration_interval = 0.05  # cheroot looks only that often whether it is to stop
    server.prepare()
    with server_thread(server.serve, server.stop, "wsgidav"):
        yield server.bind_addr[1]
