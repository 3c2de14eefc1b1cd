"""A stand-in of paperless-ngx's REST API, stricter than the real one.

Made from version 3.0.5 (``documents/views.py``, ``documents/serialisers.py``,
``paperless/views.py``) and from what a real one answered. Where the real one passes over what it
does not know (a filter, a field), this one answers 400. Each answer is as of one moment.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.servers.base import HOST, server_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "a token of the double"
VERSION = 9
_QUERY = {"page", "page_size", "fields", "ordering", "id__in", "modified__gte"}
_FIELDS = {
    *("id", "title", "created", "added", "modified", "correspondent", "document_type", "owner"),
    *("storage_path", "tags", "archive_serial_number", "mime_type", "page_count", "versions"),
    *("original_file_name", "archived_file_name", "custom_fields"),
}
_ENDINGS = {"application/pdf": ".pdf", "image/png": ".png", "text/plain": ".txt"}


@dataclass
class Version:
    """The files of one version, and their names in paperless-ngx's folder."""

    number: int
    added: datetime
    original: bytes
    archive: bytes | None
    mime_type: str


@dataclass
class Paper:
    """One document."""

    number: int
    title: str
    versions: list[Version]
    modified: datetime
    name: str
    archive_name: str | None
    owner: int | None = None
    correspondent: int | None = None
    document_type: int | None = None
    storage_path: int | None = None
    tags: list[int] = field(default_factory=list)
    custom_fields: list[dict[str, Any]] = field(default_factory=list)
    trashed: bool = False

    @property
    def newest(self) -> Version:
        return self.versions[-1]


@dataclass
class Answer:
    """What a request is answered with."""

    status: int
    body: bytes
    kind: str = "application/json"


def _json(told: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(told).encode())


def _detail(status: int, text: str) -> Answer:
    return _json({"detail": text}, status)


NOT_FOUND = _detail(404, "Not found.")
FORBIDDEN = Answer(403, b"Insufficient permissions", "text/html; charset=utf-8")


class PaperlessDouble:
    """A running stand-in; documents are changed past HTTP, as a person does in the browser.

    ``user`` is who has the token; ``may_list`` whether that user may view documents at all.
    ``digest`` makes checksums (version 2: MD5). ``fault`` may answer in the place of the double.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.papers: dict[int, Paper] = {}
        self.user, self.superuser, self.may_list = 1, True, True
        self.token = TOKEN
        self.digest: Callable[[bytes], str] = lambda data: hashlib.sha256(data).hexdigest()
        self.has_versions = True
        self.requests: Counter[str] = Counter()
        self.fault: Callable[[str, dict[str, str]], Answer | None] = lambda _path, _query: None
        self.downloads: list[int] = []
        self.tasks: list[dict[str, Any]] = []
        self.lists: dict[str, list[dict[str, Any]]] = {
            kind: []
            for kind in (
                *("tags", "correspondents", "document_types"),
                *("storage_paths", "custom_fields", "users"),
            )
        }
        self.url = ""
        self._numbers = itertools.count(1)
        self._now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

    # What people do

    def add(
        self,
        title: str,
        original: bytes,
        *,
        archive: bytes | None = None,
        mime_type: str = "application/pdf",
        **more: Any,  # noqa: ANN401
    ) -> int:
        """Let a document be consumed; return its number."""
        with self.lock:
            number, now = next(self._numbers), self._tick()
            version = Version(number, now, original, archive, mime_type)
            paper = Paper(number, title, [version], now, "", None, **more)
            self.papers[number] = paper
            self._name(paper)
            return number

    def change(self, number: int, **what: Any) -> None:  # noqa: ANN401
        """Save a document with other values: its time and, by its title, its name change."""
        with self.lock:
            paper = self.papers[number]
            for key, value in what.items():
                setattr(paper, key, value)
            paper.modified = self._tick()
            self._name(paper)

    def add_version(self, number: int, original: bytes, archive: bytes | None = None) -> None:
        """Let a new version of a document be made."""
        with self.lock:
            version = Version(
                next(self._numbers), self._tick(), original, archive, "application/pdf"
            )
            self.papers[number].versions.append(version)
            self.papers[number].modified = self._tick()

    def reprocess(self, number: int, archive: bytes) -> None:
        """Make an archive anew, which leaves the time of the document as it was."""
        with self.lock:
            self.papers[number].newest.archive = archive
            task = {"id": len(self.tasks) + 1, "task_name": "reprocess_document"}
            self.tasks.append({**task, "status": "SUCCESS"})

    def trash(self, number: int, *, trashed: bool = True) -> None:
        """Put a document into the trash, which leaves its time as it was, or restore it."""
        with self.lock:
            self.papers[number].trashed = trashed
            if not trashed:
                self.papers[number].modified = self._tick()

    def _tick(self) -> datetime:
        self._now += timedelta(seconds=1, microseconds=1)
        return self._now

    def _name(self, paper: Paper) -> None:
        ending = _ENDINGS[paper.versions[0].mime_type]
        taken = {other.name for other in self.papers.values() if other is not paper}
        names = (f"{paper.title}{f'_{n:02}' if n else ''}{ending}" for n in itertools.count())
        paper.name = next(name for name in names if name not in taken)

    # What programs ask

    def answer(self, method: str, path: str, query: dict[str, str], head: dict[str, str]) -> Answer:
        """Answer a request."""
        with self.lock:
            kind = "/".join("N" if part.isdigit() else part for part in path.split("/"))
            self.requests[f"{method} {kind}"] += 1
            if head.get("authorization") != f"Token {self.token}":
                return _detail(401, "Invalid token.")
            if (found := self.fault(path, query)) is not None:
                return found
            if method != "GET":
                return _detail(405, "Method not allowed.")
            parts = path.strip("/").split("/")
            if parts[-1] != "download" and f"version={VERSION}" not in head.get("accept", ""):
                return _detail(406, "Invalid version in Accept header.")
            if not path.endswith("/"):
                return Answer(301, b"", "text/html")
            if len(parts) == 1:
                return self._about_all(parts[0], query)
            if len(parts) == 3 and parts[0] == "documents" and parts[1].isdigit():
                return self._about(int(parts[1]), parts[2], query)
            return NOT_FOUND

    def _about_all(self, what: str, query: dict[str, str]) -> Answer:
        if what == "documents":
            return self._list(query)
        if what in self.lists:
            return self._names(what, query)
        if what == "trash" and query == {"page_size": "1"}:
            trashed = [p.number for p in self.papers.values() if p.trashed and self._sees(p)]
            return _json({"count": len(trashed), "all": trashed, "results": []})
        if what == "ui_settings" and not query:
            return self._for_superuser({"user": {"id": self.user, "username": "somebody"}})
        if what == "tasks" and query == {"task_type": "reprocess_document"}:
            return self._for_superuser(self.tasks)
        return NOT_FOUND

    def _for_superuser(self, told: object) -> Answer:
        if self.superuser:
            return _json(told)
        return _detail(403, "You do not have permission to perform this action.")

    def _names(self, kind: str, query: dict[str, str]) -> Answer:
        if set(query) != {"page", "page_size"}:
            return _json({"unknown": sorted(query)}, 400)
        size, page, rows = int(query["page_size"]), int(query["page"]), self.lists[kind]
        more = f"{self.url}/api/{kind}/?page={page + 1}" if page * size < len(rows) else None
        told = {"next": more, "results": rows[(page - 1) * size : page * size]}
        return self._for_superuser(told)

    def _sees(self, paper: Paper) -> bool:
        return self.superuser or paper.owner in {None, self.user}

    def _list(self, query: dict[str, str]) -> Answer:
        fields = set(query.get("fields", "").split(",")) - {""}
        if set(query) - _QUERY or fields - _FIELDS or not fields:
            return _json({"unknown": sorted(set(query) - _QUERY | fields - _FIELDS)}, 400)
        if not self.may_list:
            return _detail(403, "You do not have permission to perform this action.")
        found = [p for p in self.papers.values() if not p.trashed and self._sees(p)]
        if "id__in" in query:
            wanted = {int(number) for number in query["id__in"].split(",")}
            found = [p for p in found if p.number in wanted]
        if "modified__gte" in query:
            since = datetime.fromisoformat(query["modified__gte"])
            found = [p for p in found if p.modified >= since]
        order = query["ordering"]
        found.sort(key={"id": lambda p: p.number, "modified": lambda p: p.modified}[order])
        size, page = int(query["page_size"]), int(query.get("page", "1"))
        if page > 1 and (page - 1) * size >= len(found):
            return _detail(404, "Invalid page.")
        told = {
            "count": len(found),
            "next": f"{self.url}/api/documents/?page={page + 1}"
            if page * size < len(found)
            else None,
            "all": [paper.number for paper in found],
            "results": [
                {key: value for key, value in self._row(paper).items() if key in fields}
                for paper in found[(page - 1) * size : page * size]
            ],
        }
        return _json(told)

    def _row(self, paper: Paper) -> dict[str, Any]:
        versions = [
            {
                "id": one.number,
                "added": one.added.isoformat(),
                "version_label": None,
                "checksum": self.digest(one.original),
                "is_root": one.number == paper.number,
            }
            for one in reversed(paper.versions)
        ]
        row = {
            "id": paper.number,
            "title": paper.title,
            "created": "2026-01-01",
            "added": paper.versions[0].added.isoformat(),
            "modified": paper.modified.isoformat(),
            "correspondent": paper.correspondent,
            "document_type": paper.document_type,
            "storage_path": paper.storage_path,
            "owner": paper.owner,
            "tags": paper.tags,
            "archive_serial_number": None,
            "mime_type": paper.versions[0].mime_type,
            "page_count": 1,
            "original_file_name": f"upload{_ENDINGS[paper.versions[0].mime_type]}",
            "archived_file_name": f"{paper.title}.pdf" if paper.versions[0].archive else None,
            "custom_fields": paper.custom_fields,
        }
        return row | ({"versions": versions} if self.has_versions else {})

    def _about(self, number: int, what: str, query: dict[str, str]) -> Answer:
        paper = self.papers.get(number)
        if paper is None or (paper.trashed and what == "metadata"):
            return NOT_FOUND
        if not self._sees(paper):
            return FORBIDDEN
        version = paper.newest
        if "version" in query:
            version = next(v for v in paper.versions if v.number == int(query["version"]))
        if what == "metadata" and set(query) <= {"version"}:
            return _json(self._metadata(paper, version))
        if what == "download" and set(query) <= {"original"}:
            self.downloads.append(number)
            original = query.get("original") == "true" or version.archive is None
            content = version.original if original else version.archive
            return Answer(200, content or b"", "application/pdf")
        return NOT_FOUND

    def _metadata(self, paper: Paper, version: Version) -> dict[str, Any]:
        index = paper.versions.index(version)
        stem, _, ending = paper.name.rpartition(".")
        stem += f"_v{index}" if index else ""
        archive = version.archive
        return {
            "original_checksum": self.digest(version.original),
            "original_size": len(version.original),
            "original_mime_type": version.mime_type,
            "media_filename": f"{stem}.{ending}",
            "has_archive_version": archive is not None,
            "archive_checksum": None if archive is None else self.digest(archive),
            "archive_media_filename": None if archive is None else f"{stem}.pdf",
            "archive_size": None if archive is None else len(archive),
            "lang": "en",
        }

    # Reading

    def name_in(self, kind: str, name: str, **more: Any) -> int:  # noqa: ANN401
        """Let there be a tag, a correspondent or the like; return its number."""
        with self.lock:
            key = "username" if kind == "users" else "name"
            number = len(self.lists[kind]) + 1
            self.lists[kind].append({"id": number, key: name, **more})
            return number

    def rename_in(self, kind: str, number: int, name: str) -> None:
        """Rename one of these, which leaves the times of its documents as they were."""
        with self.lock:
            self.lists[kind][number - 1]["name"] = name

    def effective(self) -> dict[str, bytes]:
        """Return what has to be at the target: the archive, else the original, of each document."""
        with self.lock:
            papers = [p for p in self.papers.values() if not p.trashed]
            return {
                p.name.rpartition(".")[0] + ".pdf" if p.newest.archive is not None else p.name: (
                    p.newest.original if p.newest.archive is None else p.newest.archive
                )
                for p in papers
            }


@contextmanager
def paperless_double() -> Iterator[PaperlessDouble]:
    """Run a stand-in until the block ends."""
    double = PaperlessDouble()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            head = {key.lower(): value for key, value in self.headers.items()}
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            if not parts.path.startswith("/api/"):
                found = Answer(200, b"<html>a page for people</html>", "text/html")
            else:
                path = parts.path.removeprefix("/api/")
                found = double.answer(self.command, path, query, head)
            self.send_response(found.status)
            self.send_header("Content-Type", found.kind)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self._serve
            raise AttributeError(name)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    double.url = f"http://{HOST}:{server.server_port}"
    with server_thread(server.serve_forever, server.shutdown, "paperless double"):
        try:
            yield double
        finally:
            server.server_close()
