"""Answers that no server should send: each ends in an error that says what failed, and where."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import ServerPlace
from tests.servers.kinds import KINDS
from tests.servers.raw_server import raw_server

from paperfleet.errors import StorageError
from paperfleet.secret import Secret
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.nextcloud.backend import NextcloudBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.dav.tree import DavTree

MANY = b"9" * 5000
LISTING = (
    b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>%s</D:href>'
    b"<D:propstat><D:prop><D:resourcetype/><D:getcontentlength>%s</D:getcontentlength>"
    b"<D:getlastmodified>%s</D:getlastmodified><D:getetag>%s</D:getetag></D:prop>"
    b"<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
)
DATE = b"Fri, 27 Nov 2026 06:42:03 GMT"


def answer(status: bytes, *headers: bytes, body: bytes = b"", length: bytes | None = None) -> bytes:
    length = b"%d" % len(body) if length is None else length
    lines = [b"HTTP/1.1 " + status, b"Content-Length: " + length, b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"", body])


def listed(href: bytes, size: bytes = b"1", date: bytes = DATE, etag: bytes = b'"e"') -> bytes:
    return answer(b"207 Multi-Status", body=LISTING % (href, size, date, etag))


ANSWERS = {
    "nothing": b"",
    "no HTTP": b"\x16\x03\x01\x00\x05hello",
    "HTTP/0.9": b"<html></html>",
    "a status of four digits": answer(b"2070 Multi-Status"),
    "status 999": answer(b"999 Whatever"),
    "a length of 5,000 digits": answer(b"200 OK", length=MANY),
    "a length of 19 digits": answer(b"200 OK", length=b"9" * 19),
    "a negative length": answer(b"200 OK", length=b"-1"),
    "two lengths": answer(b"200 OK", b"Content-Length: 7"),
    "a chunk of 5,000 digits": b"HTTP/1.1 207 M\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n" % MANY,
    "a header of 200 KB": answer(b"207 M", b"X-A: " + b"a" * 200_000),
    "a header that is not ASCII": answer(b"207 M", b"ETag: \xff\xfe\xe4"),
    "a redirect to no address": answer(b"301 M", b"Location: http://[::1"),
    "a redirect to no port": answer(b"301 M", b"Location: http://127.0.0.1:99999999/"),
    "a redirect without address": answer(b"301 M"),
    "an odd cookie": answer(b"500 No", b"Set-Cookie: =;;;\xff; expires=Fri, 99 Foo 99999999999"),
    "a wait of 5,000 digits": answer(b"429 Slow", b"Retry-After: " + MANY),
    "a wait until year 10^20": answer(
        b"503 No", b"Retry-After: Fri, 27 Nov %s 0:0 GMT" % MANY[:20]
    ),
    "gzip that is none": answer(b"207 M", b"Content-Encoding: gzip", body=b"not gzip"),
    "gzip that is cut": answer(b"207 M", b"Content-Encoding: gzip", body=gzip.compress(b"x")[:9]),
    "an XML that is cut": answer(b"207 M", body=LISTING[:120]),
    "XML of another charset": answer(b"207 M", body=LISTING.decode().encode("utf-16")),
    "XML of a charset that is none": answer(
        b"207 M", body=LISTING.replace(b"?>", b' encoding="x"?>')
    ),
    "an href that is no address": listed(b"http://[::1"),
    "an href elsewhere": listed(b"/other/a.pdf"),
    "an href with a NUL": listed(b"/dav/a%00.pdf"),
    "a size of 5,000 digits": listed(b"/dav/a.pdf", size=MANY),
    "a negative size": listed(b"/dav/a.pdf", size=b"-5"),
    "year 10^20": listed(b"/dav/a.pdf", date=b"Fri, 27 Nov %s 06:42:03 GMT" % MANY[:20]),
    "year 9999": listed(b"/dav/a.pdf", date=b"Fri, 31 Dec 9999 23:59:59 GMT"),
    "an etag of 100 KB": listed(b"/dav/a.pdf", etag=b"e" * 100_000),
    "an etag with line ends": listed(b"/dav/a.pdf", etag=b'"a&#13;&#10;X-Evil: 1"'),
    "an etag that is not ASCII": listed(b"/dav/a.pdf", etag='"ä☃"'.encode()),
}

CALLS: dict[str, Callable[[DavTree], object]] = {
    "exists": lambda store: store.exists("a.pdf"),
    "stat": lambda store: store.stat("a.pdf"),
    "list": lambda store: list(store.list_stats()),
    "open": lambda store: store.open("a.pdf").read(),
    "save": lambda store: store.save("a.pdf", io.BytesIO(b"content")),  # type: ignore[attr-defined]  # both have it
    "delete": lambda store: store.delete("a.pdf"),
    "move": lambda store: store.move("a.pdf", "b.pdf"),
    "remove folder": lambda store: store.remove_folder("a"),
}


@pytest.mark.parametrize("told", ANSWERS)
@pytest.mark.parametrize("kind", ["webdav", "nextcloud"])
def test_a_malformed_answer_is_an_error_of_the_storage(
    told: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperfleet.storage.dav.tidying._AFTER_A_CUT", ())
    with raw_server(ANSWERS[told]) as server:
        backend = WebDavBackend if kind == "webdav" else NextcloudBackend
        path = "" if kind == "webdav" else "remote.php/dav/files/alice/"
        store = backend(server.url + path, username="alice", password=Secret("s"), timeout=3)
        with store:
            for name, call in CALLS.items():
                try:
                    call(store)
                except StorageError as error:
                    assert str(error), name  # noqa: PT017  # either may be: an error, or a value


@pytest.mark.parametrize("kind", ["nextcloud", "wsgidav"])
def test_a_document_of_any_time_arrives(kind: str) -> None:
    memory = Path("/dev/shm")  # noqa: S108  # other filesystems keep no such times
    if not os.access(memory, os.W_OK):
        pytest.skip("no filesystem in memory, which alone keeps times beyond the year 2446")
    times = {"year 20000.pdf": 2**39, "year 9999.pdf": 253_402_300_799, "negative.pdf": -(2**39)}
    with TemporaryDirectory(dir=memory) as folder, KINDS[kind].start() as server:
        rig = Rig(Path(folder), ServerPlace(server))
        rig.write(dict.fromkeys(times, b"content") | {"usual.pdf": b"usual"})
        for name, when in times.items():
            os.utime(rig.path(name), (when, when))
        rig.sync()
        rig.sync()
