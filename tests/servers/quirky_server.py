"""A plain WebDAV server in memory that does one thing otherwise than RFC 4918 asks."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote, urlsplit

from tests.servers.base import HOST, RecordedRequest, RequestLog, server_thread

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

Putting = Literal[
    "late",
    "whole",
    "in place",
    "new in place",
    "old in place",
    "large in place",
    "old in place, listed as before",
    "a part at the cut",
    "a part in the end",
]
"""How a server takes a PUT.

``late``: all is read before anything is decided. The others decide first, and honour conditions:
``whole`` shows the file when it is complete; ``in place`` shows what has arrived (of new files, of
old ones, of those above 64 KiB only; or of old ones to those who read them, and not in listings);
``a part at the cut`` shows nothing before the upload is cut, and then what has come; ``a part in
the end`` says that it is done and has lost the last bytes.
"""

DATE = "Sun, 01 Mar 2020 00:00:00 GMT"


@dataclass
class Quirks:
    """What a server does otherwise.

    ``conflict``: the status of a MOVE with ``Overwrite: F`` onto a file, None for a server that
    replaces it. ``enters_folders``: a MOVE onto a folder puts the file into it. ``statuses``: of
    what succeeded, by method; 202 is done only after ``late`` further requests, 0 for never.
    ``putting``: see ``Putting``; ``ignored``: conditions of a PUT that it does not look at.
    ``signature``: its header ``Server``. ``judge``: the status of a request by method and name, or
    None. ``decided``: called when a PUT was decided about, and before it is read, if it is not
    taken ``late``. ``schemes``: those of a ``Destination`` that it takes, '' for a path.
    ``refusals``: methods that fail, with their status. ``mute``: methods whose connection is cut
    without an answer, before or (``PUT, when it is done``) after the effect.
    """

    conflict: int | None = 412
    enters_folders: bool = False
    hides_dots: bool = False
    statuses: dict[str, int] = field(default_factory=dict)
    late: int = 2
    schemes: frozenset[str] = frozenset({"", "http", "https"})
    refusals: dict[str, int] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    putting: Putting = "late"
    ignored: frozenset[str] = frozenset()
    signature: str = "quirky/1"
    judge: Callable[[str, str], int | None] = lambda _method, _name: None
    decided: Callable[[str], object] = lambda _name: None


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
    uploads: set[socket.socket] = field(default_factory=set)
    listed: dict[str, bytes | None] = field(default_factory=dict)
    """What listings show of files that were not written to their end."""

    def take_all(self) -> None:
        """Wait until what has arrived of uploads was taken: whoever looks sees its effect."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            look = select.poll()
            for upload in list(self.uploads):
                with contextlib.suppress(ValueError):  # closed at this moment
                    look.register(upload, select.POLLIN)
            if not look.poll(0):
                return
            time.sleep(0.002)

    def step(self) -> None:
        """Do what was accepted long enough ago."""
        due = [effect for left, effect in self.waiting if left == 1]
        self.waiting = [(left - 1, effect) for left, effect in self.waiting if left != 1]
        for effect in due:
            effect()

    def children(self, folder: str) -> list[str]:
        """Return what a listing of a folder shows."""
        start = f"{folder}/" if folder else ""
        hidden = {name for name, content in self.listed.items() if content is None}
        names = [n for n in {*self.files, *self.folders} - hidden if n.startswith(start)]
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

    def version_string(self) -> str:
        return self._quirky.quirks.signature

    def _serve(self) -> None:
        if self.command == "PUT" and self._quirky.quirks.putting != "late":
            self._take_as_it_comes()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = unquote(urlsplit(self.path).path).strip("/")
        quirky, quirks = self._quirky, self._quirky.quirks
        record = RecordedRequest(self.command, name, dict(self.headers))
        quirky.requests.add(record)
        if quirks.putting != "late":
            quirky.take_all()
        with quirky.lock:
            if self.command in quirks.mute:
                self.close_connection = True
                return
            quirky.step()
            judged = quirks.judge(self.command, name) or quirks.refusals.get(self.command)
            if judged:
                status, content = judged, b""
            else:
                status, content = getattr(self, f"_{self.command.lower()}")(name, body)
        record.status = status
        self.send_response(status)
        if self.command != "HEAD" or status != 200:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _take_as_it_comes(self) -> None:
        """Decide about a PUT, read it piece by piece, and answer."""
        quirky, quirks = self._quirky, self._quirky.quirks
        name, size = unquote(urlsplit(self.path).path).strip("/"), 0
        length = int(self.headers.get("Content-Length") or 0)
        record = RecordedRequest("PUT", name, dict(self.headers))
        quirky.requests.add(record)
        with quirky.lock:
            status = quirks.judge("PUT", name) or self._refusal_of_put(name)
            old = quirky.files.get(name)
        in_place = quirks.putting in {
            "in place",
            "new in place" if old is None else "old in place",
            "in place" if old is None else "old in place, listed as before",
            "large in place" if length > 65536 else "in place",
        }
        quirks.decided(name)
        if quirks.putting == "old in place, listed as before" and old and not status:
            quirky.listed[name] = old
        body = bytearray()
        quirky.uploads.add(self.connection)
        try:
            while len(body) < length and (piece := self.rfile.read1(min(65536, length - size))):
                body += piece
                size = len(body)
                if in_place and not status:
                    quirky.files[name] = bytes(body)
        except OSError:
            self.close_connection = True  # reset: the same as an end
        finally:
            if len(body) < length and not status and quirks.putting == "a part at the cut":
                quirky.files[name] = bytes(body)
            quirky.uploads.discard(self.connection)
        if len(body) < length or "PUT" in quirks.mute:
            self.close_connection = True
            return
        if not status:
            status = quirks.statuses.get("PUT", 201 if old is None else 204)
            short = quirks.putting == "a part in the end"
            with quirky.lock:
                quirky.listed.pop(name, None)
                quirky.files[name] = bytes(body[: len(body) // 2] if short else body)
        if "PUT, when it is done" in quirks.mute:
            self.close_connection = True
            return
        record.status = status
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refusal_of_put(self, name: str) -> int:
        """Return the status of a PUT that is not to be done, 0 for one that is."""
        quirky = self._quirky
        if not quirky.is_folder(name.rpartition("/")[0]):
            return 409
        if quirky.is_folder(name):
            return 405
        ignored, content = quirky.quirks.ignored, quirky.files.get(name)
        none, match = self.headers.get("If-None-Match"), self.headers.get("If-Match")
        if none == "*" and content is not None and "If-None-Match" not in ignored:
            return 412
        if match is not None and "If-Match" not in ignored:
            matches = content is not None and match == f'"{self._etag(name, content)}"'
            return 0 if matches else 412
        return 0

    def _options(self, _name: str, _: bytes) -> tuple[int, bytes]:
        return 200, b""

    @staticmethod
    def _etag(name: str, content: bytes) -> int:
        return hash((name, content))

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
        content = self._quirky.listed.get(name) or self._quirky.files.get(name)
        kind = "<d:collection/>" if content is None else ""
        etag = self._etag(name, content) if content is not None else 0
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
