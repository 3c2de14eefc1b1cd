"""A reverse proxy that changes one byte of what is sent, and nothing else; or only the etags.

In front of any WebDAV or S3 server. As a broken network card, a broken proxy or a broken disk do:
the size stays, no error is told.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tests.servers.base import HOST, server_thread

from paperfleet.storage.dav.temporary import trial_above

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_PASSED = {"connection", "transfer-encoding", "keep-alive", "server", "date"}
_QUOTED = re.compile(r'"([0-9a-f]{32}(?:-\d+)?)"')
_LISTED = re.compile(rb"(<ETag>(?:&#34;|&quot;|\")?)([0-9a-f]{32}(?:-\d+)?)")


class Damage:
    """The switchboard: ``left`` is how many uploads are still damaged.

    ``other_etags``: every etag that is an MD5 becomes one that is none and looks like it, as a
    bucket answers that encrypts with KMS (Amazon S3 API reference, Object, ETag).
    ``empty_ranges``: a range of an empty object gets 206 with ``bytes 0-0/0``, and not 416.
    """

    def __init__(self) -> None:
        self.left = 0
        self.other_etags = False
        self.empty_ranges = False
        self.done: list[str] = []
        self.read: list[str] = []
        self._lock = threading.Lock()
        self._etags: dict[str, str] = {}

    def changed(self, path: str, body: bytes) -> bytes:
        """Return the body of an upload as it arrives."""
        with self._lock:
            if not self.left or not body or "probe-" in path or trial_above(path):
                return body
            self.left -= 1
            self.done.append(unquote(path))
        return body[:-1] + bytes([body[-1] ^ 1])

    def refused(self, path: str) -> None:
        """Take back a damage that the server did not take, as where a parent is missing."""
        with self._lock:
            if unquote(path) in self.done:
                self.done.remove(unquote(path))
                self.left += 1

    def other(self, etag: str) -> str:
        """Return the etag that is shown."""
        if not self.other_etags:
            return etag
        shown = hashlib.sha256(etag.encode()).hexdigest()[:32]
        with self._lock:
            self._etags[shown] = etag
        return shown

    def real(self, text: str) -> str:
        """Return a header of a request with the etags that the server knows."""
        return _QUOTED.sub(lambda found: f'"{self._etags.get(found[1], found[1])}"', text)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    damage: Damage
    upstream: str

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "PUT":
            body = self.damage.changed(self.path, body)
        if self.command == "GET":
            self.damage.read.append(unquote(self.path))
        headers = {
            name: self.damage.real(value)
            for name, value in self.headers.items()
            if name.lower() not in _NOT_PASSED
        }
        connection = http.client.HTTPConnection(self.upstream, timeout=20)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            if self.command == "PUT" and answer.status >= 300:
                self.damage.refused(self.path)
            self._relay(answer, answer.read())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_MOVE = do_MKCOL = _any  # noqa: N815 (the names the base class calls)
    do_PROPFIND = do_PROPPATCH = do_OPTIONS = do_COPY = _any  # noqa: N815

    def _relay(self, answer: http.client.HTTPResponse, body: bytes) -> None:
        if "xml" in (answer.headers.get("Content-Type") or ""):
            body = _LISTED.sub(
                lambda found: found[1] + self.damage.other(found[2].decode()).encode(), body
            )
        if self.damage.empty_ranges and answer.status == 416:
            self._empty_range(answer.headers.get("ETag") or '"empty"')
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _NOT_PASSED | {"content-length"}:
                shown = _QUOTED.sub(lambda found: f'"{self.damage.other(found[1])}"', value)
                self.send_header(name, shown if name.lower() == "etag" else value)
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _empty_range(self, etag: str) -> None:
        self.send_response(206)
        for name, value in {
            "Content-Range": "bytes 0-0/0",
            "Content-Length": "0",
            "ETag": etag,
            "Last-Modified": formatdate(usegmt=True),
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def damaging(url: str) -> Iterator[tuple[str, Damage]]:
    """Yield the address of a proxy in front of ``url``, and its switchboard."""
    damage, parts = Damage(), urlsplit(url)
    handler = type("Handler", (_Handler,), {"damage": damage, "upstream": parts.netloc})
    proxy = ThreadingHTTPServer((HOST, 0), handler)
    proxy.daemon_threads = True
    with proxy, server_thread(lambda: proxy.serve_forever(0.05), proxy.shutdown, "damaging"):
        yield f"http://{HOST}:{proxy.server_address[1]}{parts.path}", damage
