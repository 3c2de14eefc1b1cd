"""A listing of 100,000 files: yielded while it arrives, in little memory."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from tests.wide import first_of

from paperfleet.storage.nextcloud.backend import NextcloudBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES, FOLDERS = 100_000, 500
ROOT = "/remote.php/dav/files/alice/"
FILE = (
    "<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype/>"
    "<d:getcontentlength>12345</d:getcontentlength>"
    "<d:getlastmodified>Fri, 14 Jul 2017 02:40:00 GMT</d:getlastmodified>"
    "<d:getetag>&quot;{number:032x}&quot;</d:getetag><oc:fileid>{number}</oc:fileid></d:prop>"
    "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
)
FOLDER = (
    "<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype><d:collection/>"
    "</d:resourcetype><d:getetag>&quot;e&quot;</d:getetag></d:prop>"
    "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
)


def document() -> Iterator[str]:
    yield '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">'
    yield FOLDER.format(href=ROOT)
    for folder in range(FOLDERS):
        base = f"{ROOT}folder%20{folder}/"
        yield FOLDER.format(href=base)
        for number in range(FILES // FOLDERS):
            yield FILE.format(href=f"{base}document%20{number}.pdf", number=number)
    yield "</d:multistatus>"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PROPFIND(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Depth"] == "0":
            self.send_error(404)
            return
        self.send_response(207)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        piece = ""
        for part in document():
            piece += part
            if len(piece) > 60_000:
                self._send(piece)
                piece = ""
        self._send(piece)
        self._send("")

    def _send(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=httpd.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}{ROOT}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


CHILD = """
import resource, sys
from paperfleet.storage.nextcloud import backend as nextcloud
from paperfleet.storage.dav import webdav

def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

make = {"nextcloud": nextcloud.NextcloudBackend, "webdav": webdav.WebDavBackend}[sys.argv[1]]
with make(sys.argv[2], username="alice") as storage:
    storage.exists("nothing")
    before = used()
    count = sum(1 for _ in storage.list_stats())
    print(count, used() - before)
"""
"""Lists everything in a process of its own and tells by how many KiB that has grown."""


@pytest.mark.parametrize("kind", first_of(["nextcloud", "webdav"]))
def test_memory_stays_flat(kind: str) -> None:
    with server() as url:
        command = [sys.executable, "-c", CHILD, kind, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    count, growth = map(int, done.stdout.split())
    assert count == FILES
    assert growth < 10_000


def test_the_first_file_comes_before_the_last_one_was_sent() -> None:
    with server() as url, NextcloudBackend(url, username="alice") as storage:
        listing = storage.list_stats()
        assert next(listing).name == "folder 0/document 0.pdf"
        listing.close()  # type: ignore[attr-defined]  # a generator
        assert next(storage.list_stats()).size == 12345
