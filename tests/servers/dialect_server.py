"""A small WebDAV server over a folder that speaks one dialect at a time, as real servers do.

What it speaks is plain RFC 4918, until ``Dialect`` says otherwise; its fields name who does so.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.servers.base import HOST, RecordedRequest, WebDavServer, server_thread
from tests.trees import paths_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = tuple[int, dict[str, str], bytes]


class Hiding(NamedTuple):
    """How the server hides a folder, and all in it.

    ``listing`` answers when it is asked for what is in it, and when a whole tree above it is asked
    for. With ``member`` a listing above tells this status of it instead, for the response or for
    all ``in_propstat``. ``below`` answers whatever is asked of a name in it; None: the server
    obeys, as one does that may write there and not look.
    """

    listing: int = 403
    member: int | None = None
    in_propstat: bool = False
    below: int | None = 403


@dataclass
class Dialect:
    """How the server speaks; the defaults are the plain way.

    ``answer`` may answer a request itself: it is given method and name, None lets it pass.
    """

    propstats: bool = False
    """One propstat for each property, those that are not there in front."""
    lengths: bool = True
    """Whether listings tell getcontentlength, and HEAD a Content-Length."""
    head_lengths: bool = True
    slashes: str = "/"
    """What an href begins with."""
    raw: str = ""
    """Characters that an href does not encode."""
    fresh_etags: bool = False
    """Whether each request sees a new etag of the same file."""
    most_entries: int | None = None
    """How many resources a listing of more than one level has before it ends with 507."""
    most_children: int | None = None
    """The same for a listing of one level."""
    processing: float = 0.0
    """Seconds after a PUT in which nothing can be done with the file."""
    processing_answer: Answer = (425, {}, b"The file is processing")
    put_status: int = 201
    hidden: dict[str, Hiding] = field(default_factory=dict)
    """Folders that may not be looked into, by name; '' for the root."""
    answer: Callable[[str, str], Answer | None] = lambda _method, _name: None


@dataclass
class DialectServer(WebDavServer):
    """The running server; ``dialect`` may be changed at any time."""

    dialect: Dialect = field(default_factory=Dialect)
    uploaded: dict[str, float] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def is_processing(self, name: str) -> bool:
        """Say whether what was sent under this name is still worked on."""
        sent = self.uploaded.get(name)
        return sent is not None and time.monotonic() - sent < self.dialect.processing

    def path(self, name: str) -> Path:
        """Return where a name is on disk."""
        return self.root / name if name else self.root


@contextlib.contextmanager
def dialect_server(dialect: Dialect | None = None) -> Iterator[DialectServer]:
    """Serve a temporary folder at ``/dav/``."""
    with TemporaryDirectory(prefix="dialect-") as temp:
        server = DialectServer("", "alice", "secret", Path(temp), "dialect", True)
        server.dialect = dialect or Dialect()
        listener = ThreadingHTTPServer((HOST, 0), type("_Bound", (_Handler,), {"server_": server}))
        listener.daemon_threads = True
        server.url = f"http://{HOST}:{listener.server_address[1]}/dav/"

        listener.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client may cut

        def stop() -> None:
            listener.shutdown()
            listener.server_close()

        with server_thread(lambda: listener.serve_forever(0.02), stop, "dialect"):
            yield server


class _Handler(BaseHTTPRequestHandler):
    """One connection; the methods of WebDAV by their names."""

    server_: DialectServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _moving = threading.Lock()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401  # the base's names
        """Keep quiet."""

    def _any(self) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/dav/").strip("/")
        self._body = self._received()
        self.server_.requests.add(RecordedRequest(self.command, name))
        dialect = self.server_.dialect
        answer = dialect.answer(self.command, name) or self._hidden(name)
        if answer is None and self.command != "PUT" and self.server_.is_processing(name):
            answer = dialect.processing_answer
        self._send(*(answer or getattr(self, f"_{self.command.lower()}")(name)))

    def _hidden(self, name: str) -> Answer | None:
        depth = self.headers.get("Depth", "infinity")
        for folder, how in self.server_.dialect.hidden.items():
            start = f"{folder}/" if folder else ""
            if name != folder and name.startswith(start):
                looks = self.command == "PROPFIND"
                return ((how.below or how.listing), {}, b"") if looks or how.below else None
            if self.command != "PROPFIND" or depth == "0":
                continue
            above = not name or folder.startswith(f"{name}/")
            if name == folder or (above and depth == "infinity" and how.member is None):
                return how.listing, {}, b""
        return None

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # what the base calls for a method
            return self._any
        raise AttributeError(name)

    def _received(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        chunked = "Transfer-Encoding" in headers
        if not chunked and "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD" or status == 204:
            return
        if chunked:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        self.wfile.write(body)

    def _propfind(self, name: str) -> Answer:
        if not self.server_.path(name).exists():
            return 404, {}, b""
        depth = self.headers.get("Depth", "infinity")
        names = [name, *(self._below(name, deep=depth == "infinity") if depth != "0" else ())]
        dialect = self.server_.dialect
        most = {"infinity": dialect.most_entries, "1": dialect.most_children}.get(depth)
        shown = [self._described(one) for one in names[:most]]
        if most is not None and len(names) > most:
            href = self._href(name)
            status = "<D:status>HTTP/1.1 507 Insufficient Storage</D:status>"
            shown.append(f"<D:response><D:href>{href}</D:href>{status}</D:response>")
        body = (
            f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{"".join(shown)}</D:multistatus>'
        )
        return 207, {"Content-Type": "application/xml"}, body.encode()

    def _below(self, name: str, *, deep: bool) -> list[str]:
        folder = self.server_.path(name)
        found = paths_below(folder) if deep else folder.glob("*")
        names = sorted(path.relative_to(self.server_.root).as_posix() for path in found)
        hidden = tuple(f"{folder}/" for folder in self.server_.dialect.hidden)
        names = [one for one in names if not one.startswith(hidden)]
        return [one for one in names if not self.server_.is_processing(one)]

    def _href(self, name: str) -> str:
        dialect = self.server_.dialect
        slash = "/" if name and self.server_.path(name).is_dir() else ""
        return escape(dialect.slashes + "dav/" + quote(name, safe="/" + dialect.raw) + slash)

    def _described(self, name: str) -> str:
        path, dialect = self.server_.path(name), self.server_.dialect
        how = dialect.hidden.get(name)
        if how is not None and how.member is not None:
            status = f"<D:status>HTTP/1.1 {how.member} Hidden</D:status>"
            if how.in_propstat:
                asked = "<D:prop><D:resourcetype/><D:getetag/></D:prop>"
                status = f"<D:propstat>{asked}{status}</D:propstat>"
            return f"<D:response><D:href>{self._href(name)}</D:href>{status}</D:response>"
        found = {"resourcetype": "<D:collection/>" if path.is_dir() else ""}
        if path.is_file():
            found["getetag"] = escape(self._etag(path))
            found["getlastmodified"] = formatdate(path.stat().st_mtime, usegmt=True)
            if dialect.lengths:
                found["getcontentlength"] = str(path.stat().st_size)
        values = [f"<D:{key}>{value}</D:{key}>" for key, value in found.items()]
        good, bad = "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"
        parts = [(value, good) for value in values] if dialect.propstats else []
        parts = parts or [("".join(values), good)]
        parts.insert(0, ("<D:quota/>", bad))
        stats = "".join(
            f"<D:propstat><D:prop>{value}</D:prop><D:status>{status}</D:status></D:propstat>"
            for value, status in parts
        )
        return f"<D:response><D:href>{self._href(name)}</D:href>{stats}</D:response>"

    def _etag(self, path: Path) -> str:
        stat = path.stat()
        number = next(self.server_.numbers) if self.server_.dialect.fresh_etags else 0
        return f'"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}-{number}"'

    def _get(self, name: str) -> Answer:
        path = self.server_.path(name)
        if not path.is_file():
            return 404, {}, b""
        headers = {"ETag": self._etag(path), "Last-Modified": formatdate(path.stat().st_mtime)}
        content = path.read_bytes()
        dialect = self.server_.dialect
        if not dialect.head_lengths:
            return 200, headers | {"Transfer-Encoding": "chunked"}, content
        first = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        if not first:
            return 200, headers, content
        headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return 206, headers, content[int(first) :]

    _head = _get

    def _put(self, name: str) -> Answer:
        path = self.server_.path(name)
        if not path.parent.is_dir():
            return 409, {}, b""
        status = 204 if path.exists() else self.server_.dialect.put_status
        path.write_bytes(self._body)
        if self.server_.dialect.processing:
            self.server_.uploaded[name] = time.monotonic()
        return status, {}, b""

    def _mkcol(self, name: str) -> Answer:
        path = self.server_.path(name)
        if path.exists():
            return 405, {}, b""
        if not path.parent.is_dir():
            return 409, {}, b""
        path.mkdir(exist_ok=True)
        return 201, {}, b""

    def _proppatch(self, name: str) -> Answer:
        del name
        return 403, {}, b""

    def _delete(self, name: str) -> Answer:
        path = self.server_.path(name)
        if not path.exists():
            return 404, {}, b""
        condition = self.headers.get("If-Match")
        if condition is not None and (path.is_dir() or condition != self._etag(path)):
            return 412, {}, b""
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return 204, {}, b""

    def _move(self, name: str) -> Answer:
        there = unquote(urlsplit(self.headers["Destination"]).path).removeprefix("/dav/").strip("/")
        old, new = self.server_.path(name), self.server_.path(there)
        with self._moving:
            if not old.exists():
                return 404, {}, b""
            if not new.parent.is_dir():
                return 409, {}, b""
            if new.exists() and self.headers.get("Overwrite", "T") == "F":
                return 412, {}, b""
            status = 204 if new.exists() else 201
            old.rename(new)
        return status, {}, b""
