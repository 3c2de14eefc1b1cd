"""A plain WebDAV server in memory that does one thing otherwise than RFC 4918 asks."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from tests.servers.base import HOST, RecordedRequest, RequestLog, server_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATE = "Sun, 01 Mar 2020 00:00:00 GMT"


@dataclass
class Quirks:
    """What a server does otherwise.

    ``conflict``: the status of a MOVE with ``Overwrite: F`` onto a file, None for a server that
    replaces it. ``enters_folders``: a MOVE onto a folder puts the file into it. ``statuses``: of
    what succeeded, by method; 202 is done only after ``late`` further requests, 0 for never.
    ``schemes``: those of a ``Destination`` that it takes, '' for a path. ``refusals``: methods that
    fail, with their status. ``mute``: methods whose connection is cut without an answer.
    """

    conflict: int | None = 412
    enters_folders: bool = False
    hides_dots: bool = False
    statuses: dict[str, int] = field(default_factory=dict)
    late: int = 2
    schemes: frozenset[str] = frozenset({"", "http", "https"})
    refusals: dict[str, int] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)


@dataclass
class QuirkyServer:
    """A running server: ``files`` by name, ``folders`` without the root."""

    url: str
    quirks: Quirks
    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    requests: RequestLog = field(default_factory=RequestLog)
    lock: threading.RLock = field(default_factory=threading.RLock)
    waiting: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def step(self) -> None:
        """Do what was accepted long enough ago."""
        due = [effect for left, effect in self.waiting if left == 1]
        self.waiting = [(left - 1, effect) for left, effect in self.waiting if left != 1]
        for effect in due:
            effect()

    def children(self, folder: str) -> list[str]:
        """Return what a listing of a folder shows."""
        start = f"{folder}/" if folder else ""
        names = [name for name in {*self.files, *self.folders} if name.startswith(start)]
        inside = sorted(name for name in names if "/" not in name.removeprefix(start))
        if not self.quirks.hides_dots:
            return inside
        return [name for name in inside if not name.removeprefix(start).startswith(".")]

    def is_folder(self, name: str) -> bool:
        """Say whether a folder is there; the root is."""
        return not name or name in self.folders

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        for one in [n for n in self.files if n == name or n.startswith(f"{name}/")]:
            del self.files[one]
        self.folders -= {n for n in self.folders if n == name or n.startswith(f"{name}/")}

    def move(self, old: str, new: str) -> None:
        """Put a file or a folder under another name."""
        for one in [n for n in self.files if n == old or n.startswith(f"{old}/")]:
            self.files[new + one.removeprefix(old)] = self.files.pop(one)
        for one in [n for n in self.folders if n == old or n.startswith(f"{old}/")]:
            self.folders.discard(one)
            self.folders.add(new + one.removeprefix(old))


@contextlib.contextmanager
def quirky_server(quirks: Quirks) -> Iterator[QuirkyServer]:
    """Run a server with some quirks until the block ends."""
    with ThreadingHTTPServer((HOST, 0), _Handler) as http:
        http.daemon_threads = True
        server = QuirkyServer(f"http://{HOST}:{http.server_address[1]}/", quirks)
        http.quirky = server  # type: ignore[attr-defined]  # what the handler finds through it
        with server_thread(lambda: http.serve_forever(0.02), http.shutdown, "quirky"):
            yield server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _quirky(self) -> QuirkyServer:
        return self.server.quirky  # type: ignore[attr-defined,no-any-return]  # see above

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = unquote(urlsplit(self.path).path).strip("/")
        quirky, quirks = self._quirky, self._quirky.quirks
        record = RecordedRequest(self.command, name, dict(self.headers))
        quirky.requests.add(record)
        with quirky.lock:
            if self.command in quirks.mute:
                self.close_connection = True
                return
            quirky.step()
            if self.command in quirks.refusals:
                status, content = quirks.refusals[self.command], b""
            else:
                status, content = getattr(self, f"_{self.command.lower()}")(name, body)
        record.status = status
        self.send_response(status)
        if self.command != "HEAD" or status != 200:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _done(self, status: int, effect: Callable[[], None]) -> tuple[int, bytes]:
        quirky = self._quirky
        status = quirky.quirks.statuses.get(self.command, status)
        if status == 202:
            quirky.waiting.append((quirky.quirks.late, effect))
        else:
            effect()
        return status, b""

    def _propfind(self, name: str, _: bytes) -> tuple[int, bytes]:
        quirky = self._quirky
        if not quirky.is_folder(name) and name not in quirky.files:
            return 404, b""
        if self.headers.get("Depth") == "infinity":
            return 403, b""
        names = [name]
        if self.headers.get("Depth") == "1" and quirky.is_folder(name):
            names += quirky.children(name)
        entries = "".join(map(self._entry, names))
        return 207, f'<d:multistatus xmlns:d="DAV:">{entries}</d:multistatus>'.encode()

    def _entry(self, name: str) -> str:
        content = self._quirky.files.get(name)
        kind = "<d:collection/>" if content is None else ""
        etag = hash((name, content)) if content is not None else 0
        href = f"/{quote(name)}" + ("/" if content is None and name else "")
        return (
            f"<d:response><d:href>{href}</d:href><d:propstat><d:prop>"
            f"<d:resourcetype>{kind}</d:resourcetype>"
            f"<d:getcontentlength>{len(content or b'')}</d:getcontentlength>"
            f"<d:getlastmodified>{DATE}</d:getlastmodified><d:getetag>&quot;{etag}&quot;"
            "</d:getetag></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        )

    def _head(self, name: str, _: bytes) -> tuple[int, bytes]:
        content = self._quirky.files.get(name)
        if content is None:
            return 404, b""
        return 204, b""  # tells too little, so that a listing is asked

    def _get(self, name: str, _: bytes) -> tuple[int, bytes]:
        content = self._quirky.files.get(name)
        return (404, b"") if content is None else (200, content)

    def _put(self, name: str, body: bytes) -> tuple[int, bytes]:
        quirky = self._quirky
        if not quirky.is_folder(name.rpartition("/")[0]):
            return 409, b""
        if quirky.is_folder(name):
            return 405, b""
        status = 204 if name in quirky.files else 201
        return self._done(status, lambda: quirky.files.update({name: body}))

    def _mkcol(self, name: str, _: bytes) -> tuple[int, bytes]:
        quirky = self._quirky
        if quirky.is_folder(name) or name in quirky.files:
            return 405, b""
        if not quirky.is_folder(name.rpartition("/")[0]):
            return 409, b""
        return self._done(201, lambda: quirky.folders.add(name))

    def _delete(self, name: str, _: bytes) -> tuple[int, bytes]:
        quirky = self._quirky
        if name not in quirky.files and name not in quirky.folders:
            return 404, b""
        return self._done(204, lambda: quirky.remove(name))

    def _proppatch(self, name: str, _: bytes) -> tuple[int, bytes]:
        return (207, b"") if name in self._quirky.files else (404, b"")

    def _move(self, name: str, _: bytes) -> tuple[int, bytes]:
        quirky, quirks = self._quirky, self._quirky.quirks
        there = urlsplit(self.headers["Destination"])
        if there.scheme not in quirks.schemes:
            return (502 if there.scheme else 400), b""
        new = unquote(there.path).strip("/")
        if name not in quirky.files and name not in quirky.folders:
            return 404, b""
        if not quirky.is_folder(new.rpartition("/")[0]):
            return 409, b""
        if quirks.enters_folders and quirky.is_folder(new) and name in quirky.files:
            inside = f"{new}/{name.rpartition('/')[2]}"
            return self._done(204, lambda: quirky.move(name, inside))
        taken = new in quirky.files or quirky.is_folder(new)
        if taken and self.headers.get("Overwrite") == "F":
            if quirky.is_folder(new):
                return 412, b""
            if quirks.conflict is not None:
                return quirks.conflict, b""

        def effect() -> None:
            quirky.remove(new)
            quirky.move(name, new)

        return self._done(204 if taken else 201, effect)
