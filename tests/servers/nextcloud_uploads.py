"""Chunked uploads below /remote.php/dav/uploads/USER/ of the Nextcloud double."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.servers.base import STOP_TIMEOUT
from tests.servers.nextcloud_conditions import target_of
from tests.servers.nextcloud_dav import Hashes, finish_upload
from tests.servers.nextcloud_errors import DavError, locked, not_found
from tests.servers.nextcloud_http import Request, Response
from tests.servers.nextcloud_names import LONGEST_UPLOADED, encode
from tests.servers.nextcloud_properties import ALL, http_date
from tests.servers.nextcloud_xml import OC, D, Resource, multistatus, wanted_properties

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.nextcloud_files import Files

WHOLE = ".file"
# https://docs.nextcloud.com/server/latest/developer_manual/client_apis/WebDAV/chunking.html
MOST_CHUNKS = 10_000


@dataclass
class Chunk:
    """A chunk that arrived completely."""

    file: Path
    size: int
    mtime: int

    @property
    def etag(self) -> str:
        """An ETag of the chunk."""
        return hashlib.md5(f"{self.file}{self.size}".encode()).hexdigest()  # noqa: S324


@dataclass
class Upload:
    """An unfinished upload: chunks by name. `numbered` when its MKCOL told a Destination.

    That makes it an upload of version 2, whose chunks the manual wants to be named 1 to 10000.
    Others have any names and are put together in natural order.
    """

    folder: Path
    created: int
    numbered: bool
    chunks: dict[str, Chunk] = field(default_factory=dict)
    merging: bool = False

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return sum(chunk.size for chunk in self.chunks.values())

    def names(self) -> list[str]:
        """Return the chunks' names in the order in which they are put together."""
        return sorted(self.chunks, key=_natural)

    def check_name(self, name: str) -> None:
        """Refuse a name that a chunk may not have."""
        good = name.isdecimal() and 1 <= int(name) <= MOST_CHUNKS
        if (self.numbered and not good) or name in {"", ".", "..", WHOLE} or "/" in name:
            raise DavError(400, "Invalid chunk name, must be numeric between 1 and 10000")


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


class UploadsEndpoint:
    """Answers requests for uploads; `slow_merge` in seconds makes the MOVE answer 504."""

    def __init__(self, files: Files, prefix: str, files_prefix: str) -> None:
        self._files, self._prefix, self._files_prefix = files, prefix, files_prefix
        self._base = files.base / "uploads"
        self._base.mkdir(exist_ok=True)
        self.uploads: dict[str, Upload] = {}
        self.slow_merge: float | None = None
        self._merges: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._methods = {
            "MKCOL": self._mkcol,
            "PUT": self._put,
            "PROPFIND": self._propfind,
            "MOVE": self._move,
            "DELETE": self._delete,
        }

    def answer(self, request: Request, path: str) -> Response:
        """Answer a request for "ID", "ID/chunk" or "ID/.file"."""
        method = self._methods.get(request.method)
        if method is None:
            raise DavError(501, f"There was no plugin that handles {request.method}")
        upload_id, _, name = path.partition("/")
        return method(request, upload_id, name)

    def stop(self) -> None:
        """End merges that still run."""
        self._stopping.set()
        self.wait()

    def wait(self) -> None:
        """Wait until every merge that goes on after a 504 has ended."""
        for merge in self._merges:
            merge.join(STOP_TIMEOUT)

    def _get(self, upload_id: str) -> Upload:
        upload = self.uploads.get(upload_id)
        if upload is None:
            raise not_found(upload_id)
        if upload.merging:
            raise locked(f"uploads/{upload_id}")
        return upload

    def _mkcol(self, request: Request, upload_id: str, name: str) -> Response:
        if name or not upload_id:
            raise DavError(403, "Permission denied to create folders in an upload")
        if upload_id in self.uploads:
            raise DavError(405, "The resource you tried to create already exists")
        folder = self._base / hashlib.sha256(upload_id.encode()).hexdigest()
        folder.mkdir()
        self.uploads[upload_id] = Upload(
            folder, self._files.now, numbered=request.header("Destination") is not None
        )
        return Response(201)

    def _put(self, request: Request, upload_id: str, name: str) -> Response:
        upload = self._get(upload_id)
        upload.check_name(name)
        self._check_destination(request)
        total = int(request.header("OC-Total-Length") or request.body.length or 0)
        self._files.check_quota(total)
        hashes = Hashes(request.header("X-Hash"))
        part = upload.folder / f"{name}.{self._files.ids.file()}.part"
        try:
            with part.open("wb") as sink:
                sink.writelines(hashes.watch(request.body))
            new = name not in upload.chunks
            chunk = self._keep(upload, name, part)
        finally:
            part.unlink(missing_ok=True)
        headers = {"ETag": f'"{chunk.etag}"', **hashes.headers()}
        return Response(201 if new else 204, headers)

    def _check_destination(self, request: Request) -> None:
        """Refuse a chunk of version 2 whose file would have no parent."""
        if request.header("Destination") is None:
            return
        parent = target_of(request, self._files_prefix).path.rpartition("/")[0]
        if self._files.find(parent) is None:
            raise not_found(parent)

    def _keep(self, upload: Upload, name: str, part: Path) -> Chunk:
        whole = upload.folder / name
        part.replace(whole)
        chunk = Chunk(whole, whole.stat().st_size, self._files.now)
        upload.chunks[name] = chunk
        return chunk

    def _propfind(self, request: Request, upload_id: str, name: str) -> Response:
        wanted = wanted_properties(request.body.read())
        upload = self._get(upload_id)
        resources = list(self._resources(upload_id, upload).items())
        if name:
            chosen = [found for key, found in resources if key == name]
            if not chosen:
                raise not_found(name)
        else:
            chosen = [found for _, found in resources]
        depth_zero = request.header("Depth") == "0"
        shown = chosen[:1] if depth_zero else chosen
        return multistatus(request, shown, wanted or ALL, sparse=wanted is None)

    def _resources(self, upload_id: str, upload: Upload) -> dict[str, Resource]:
        base = f"{self._prefix}{upload_id}/"
        entries = {"": _folder(base, upload), WHOLE: _file(base + WHOLE, upload)}
        chunks = {name: _file(base + name, upload.chunks[name]) for name in upload.names()}
        return entries | chunks

    def _delete(self, request: Request, upload_id: str, name: str) -> Response:
        del request
        upload = self._get(upload_id)
        if name:
            chunk = upload.chunks.pop(name, None)
            if chunk is None:
                raise not_found(name)
            chunk.file.unlink()
        else:
            self._drop(upload_id)
        return Response(204)

    def _drop(self, upload_id: str) -> None:
        shutil.rmtree(self.uploads.pop(upload_id).folder)

    def _move(self, request: Request, upload_id: str, name: str) -> Response:
        upload = self._get(upload_id)
        if name != WHOLE:
            raise DavError(403, "Only the assembled file can be moved")
        path = self._check_move(request, upload)
        if self.slow_merge is None:
            return self._merge(request, upload_id, path)
        self._merge_later(self.slow_merge, request, upload_id, path)
        return Response(504, {"Content-Type": "text/html"}, b"<h1>Gateway Timeout</h1>")

    def _check_move(self, request: Request, upload: Upload) -> str:
        if request.header("If-None-Match") is not None:
            raise DavError(412, "An If-None-Match header was specified, but the ETag matched")
        target = target_of(request, self._files_prefix)
        self._files.folder_for(target.path, missing=409, file=415)
        there = self._files.find(target.path)
        if there is not None and not target.overwrite:
            raise DavError(412, "The destination node already exists, Overwrite is F")
        if there is not None and there.folder:
            raise DavError(400, f"The given destination {target.path} is a directory.")
        self._check_total(request, upload)
        self._files.locks.check(target.path, tree=True)
        return target.path

    def _check_total(self, request: Request, upload: Upload) -> None:
        total = request.header("OC-Total-Length")
        if total is not None and total != str(upload.size):
            raise DavError(400, f"Chunks on server do not sum up to {total} but to {upload.size}")
        self._files.check_quota(upload.size)

    def _merge(self, request: Request, upload_id: str, path: str) -> Response:
        upload = self.uploads[upload_id]
        whole = self._files.scratch / f"{self._files.ids.file()}.merged"
        try:
            _assemble(upload, whole)
            node, new = self._files.replace(path, whole, LONGEST_UPLOADED)
        finally:
            whole.unlink(missing_ok=True)
        headers = finish_upload(self._files, node, request)
        self._drop(upload_id)
        return Response(201 if new else 204, headers)

    def _merge_later(self, seconds: float, request: Request, upload_id: str, path: str) -> None:
        self.uploads[upload_id].merging = True
        self._files.locks.lock(path)

        def finish() -> None:
            self._stopping.wait(seconds)
            self._files.locks.unlock(path)
            self._merge(request, upload_id, path)

        thread = threading.Thread(target=finish, name="slow merge", daemon=True)
        self._merges.append(thread)
        thread.start()


def _assemble(upload: Upload, whole: Path) -> None:
    with whole.open("wb") as sink:
        for name in upload.names():
            with upload.chunks[name].file.open("rb") as source:
                shutil.copyfileobj(source, sink)


def _folder(path: str, upload: Upload) -> Resource:
    values = {f"{D}resourcetype": "<d:collection/>", f"{D}getlastmodified": _date(upload.created)}
    return Resource(encode(path), values.get)


def _file(path: str, found: Chunk | Upload) -> Resource:
    values = {f"{D}resourcetype": "", f"{D}getcontentlength": str(found.size)}
    values[f"{OC}size"] = str(found.size)
    if isinstance(found, Chunk):
        values[f"{D}getlastmodified"] = _date(found.mtime)
        values[f"{D}getetag"] = f"&quot;{found.etag}&quot;"
    return Resource(encode(path), values.get)


def _date(seconds: int) -> str:
    return http_date(seconds)
