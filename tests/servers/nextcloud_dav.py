"""The methods below /remote.php/dav/files/USER/ of the Nextcloud double."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from tests.servers.nextcloud_conditions import check_conditions, target_of
from tests.servers.nextcloud_errors import DavError
from tests.servers.nextcloud_http import Request, Response
from tests.servers.nextcloud_listing import propfind, proppatch
from tests.servers.nextcloud_mtime import parse_mtime
from tests.servers.nextcloud_names import LONGEST_UPLOADED
from tests.servers.nextcloud_properties import content_type, http_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.servers.nextcloud_files import Files
    from tests.servers.nextcloud_nodes import Node

ALLOWED = (
    "OPTIONS, GET, HEAD, DELETE, PROPFIND, PUT, PROPPATCH, COPY, MOVE, REPORT, SEARCH, PATCH, MKCOL"
)
DAV_CLASSES = "1, 3, extended-mkcol, access-control, nextcloud-checksum-update, oc-resource-sharing"
HASHES = {"md5": "X-Hash-MD5", "sha1": "X-Hash-SHA1", "sha256": "X-Hash-SHA256"}
FOLDER_TEXT = b"This is the WebDAV interface. It can only be accessed by WebDAV clients."


class FilesEndpoint:
    """Answers requests for files. `prefix` is the URL path of the user's root, with slash."""

    def __init__(self, files: Files, user: str, prefix: str) -> None:
        self._files, self._user, self._prefix = files, user, prefix
        self._methods = {
            "OPTIONS": self._options,
            "PROPFIND": self._propfind,
            "PROPPATCH": self._proppatch,
            "MKCOL": self._mkcol,
            "PUT": self._put,
            "PATCH": self._patch,
            "GET": self._get,
            "HEAD": self._get,
            "DELETE": self._delete,
            "MOVE": self._move,
            "COPY": self._copy,
        }

    def answer(self, request: Request, path: str) -> Response:
        """Answer one request for a decoded path; 501 for LOCK and other methods."""
        method = self._methods.get(request.method)
        if method is None:
            raise DavError(501, f"There was no plugin that handles {request.method}")
        hidden = self._files.is_hidden(path)
        if check_conditions(request, None if hidden else self._files.find(path)):
            return Response(304, {"ETag": f'"{self._files.get(path).etag}"'})
        self._check_readable(request, path, hidden=hidden)
        return method(request, path)

    def _check_readable(self, request: Request, path: str, *, hidden: bool) -> None:
        """Refuse as a real one does for a folder without read permission on its disk.

        Seen with 34.0.1 after `occ files:scan`: what is below is not found, nothing can be put
        there, and neither the folder nor a whole tree above it can be listed.
        """
        method, folders = request.method, self._files.unreadable
        if hidden and method not in {"PUT", "MKCOL"}:
            raise DavError(404, f"File with name /{path} could not be located")
        if method in {"MOVE", "COPY"}:
            if self._files.is_hidden(target_of(request, self._prefix).path):
                raise DavError(403, "")
            if path in folders:
                raise DavError(500, "RecursiveDirectoryIterator: Permission denied")
        if method == "DELETE" and path in folders:
            raise DavError(403, "")
        if method == "PROPFIND":
            depth = request.header("Depth") or "1"
            above = any(not path or folder.startswith(f"{path}/") for folder in folders)
            if (path in folders and depth != "0") or (above and depth == "infinity"):
                raise DavError(403, "No read permissions")

    def _options(self, request: Request, path: str) -> Response:
        del request, path
        return Response(200, {"Allow": ALLOWED, "DAV": DAV_CLASSES, "MS-Author-Via": "DAV"})

    def _propfind(self, request: Request, path: str) -> Response:
        return propfind(self._files, request, path, self._prefix, self._user)

    def _proppatch(self, request: Request, path: str) -> Response:
        return proppatch(self._files, request, path, self._prefix)

    def _mkcol(self, request: Request, path: str) -> Response:
        if request.body.length != 0 and request.body.read():
            raise DavError(415, "The request body for the MKCOL request must be xml")
        node = self._files.make_folder(path)
        return Response(201, {"OC-FileId": node.long_id})

    def _put(self, request: Request, path: str) -> Response:
        if request.header("Content-Range"):
            raise DavError(400, "Content-Range on PUT requests is forbidden.")
        if request.body.length is not None:
            self._files.check_quota(request.body.length)
        hashes = Hashes(request.header("X-Hash"))
        node, new = self._files.upload(path, hashes.watch(request.body), LONGEST_UPLOADED)
        headers = finish_upload(self._files, node, request)
        return Response(201 if new else 204, {**headers, **hashes.headers()})

    def _patch(self, request: Request, path: str) -> Response:
        """Hash the stored bytes and keep the hash as checksum (`X-Recalculate-Hash`)."""
        node = self._files.get(path)
        algorithm = (request.header("X-Recalculate-Hash") or "").lower()
        if node.folder or algorithm not in HASHES:
            raise DavError(501, "There was no plugin that handles PATCH")
        self._files.locks.check(path)
        with self._files.disk(path).open("rb") as stored:
            digest = hashlib.file_digest(stored, algorithm).hexdigest()
        node.checksum = f"{algorithm.upper()}:{digest}"
        return Response(204, {"OC-Checksum": node.checksum})

    def _get(self, request: Request, path: str) -> Response:
        node = self._files.get(path)
        if node.folder:
            return Response(200, {"Content-Type": "text/html; charset=UTF-8"}, FOLDER_TEXT)
        self._files.locks.check(path)
        size = self._files.disk(path).stat().st_size
        response = Response(200, _file_headers(node), file=self._files.disk(path), length=size)
        return _ranged(request, response, node)

    def _delete(self, request: Request, path: str) -> Response:
        del request
        if not path:
            raise DavError(403, "Permission denied to delete this folder")
        self._files.remove(path)
        return Response(204)

    def _move(self, request: Request, path: str) -> Response:
        new, replaced = self._make_way(request, path, busy=500)
        self._files.move(path, new)
        return Response(204 if replaced else 201)

    def _copy(self, request: Request, path: str) -> Response:
        new, replaced = self._make_way(request, path, busy=423)
        self._files.copy(path, new)
        return Response(204 if replaced else 201)

    def _make_way(self, request: Request, path: str, busy: int) -> tuple[str, bool]:
        """Check both ends of a MOVE or COPY, and delete what is at the destination."""
        files, target = self._files, target_of(request, self._prefix)
        new, old = target.path, files.find(target.path)
        files.folder_for(new, missing=409, file=415)
        node = files.get(path)
        if old is not None and not target.overwrite:
            raise DavError(412, "The destination node already exists, Overwrite is F")
        _check_ends(path, new)
        for name in (path, new):
            files.locks.check(name, tree=True, status=busy)
        if not node.folder:
            files.check_quota(node.size)
        if old is not None and old is not node:
            files.remove(new)
        return new, old is not None


def _check_ends(old: str, new: str) -> None:
    if not old or old == new:
        raise DavError(403, "Source and destination uri are identical.")
    if not new:
        raise DavError(403, "The root cannot be replaced")
    if new.startswith(old + "/"):
        raise DavError(409, "The destination may not be part of the same subtree as the source")


class Hashes:
    """Hashes of a body as it arrives, for `X-Hash: md5 | sha1 | sha256 | all`."""

    def __init__(self, header: str | None) -> None:
        chosen = [name for name in HASHES if header in {name, "all"}]
        self._hashes = {name: hashlib.new(name) for name in chosen}

    def watch(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass blocks on and hash them."""
        for block in blocks:
            for digest in self._hashes.values():
                digest.update(block)
            yield block

    def headers(self) -> dict[str, str]:
        """Return the answer's headers."""
        return {HASHES[name]: digest.hexdigest() for name, digest in self._hashes.items()}


def finish_upload(files: Files, node: Node, request: Request) -> dict[str, str]:
    """Apply X-OC-Mtime and OC-Checksum to stored bytes; returns the answer's headers.

    A bad mtime raises 500 although the bytes are stored.
    """
    headers = {}
    mtime = request.header("X-OC-Mtime")
    if mtime:
        files.touch(node, parse_mtime(mtime))
        headers["X-OC-MTime"] = "accepted"
    node.checksum = (request.header("OC-Checksum") or "").strip()
    etag = f'"{node.etag}"'
    return {"ETag": etag, "OC-ETag": etag, "OC-FileId": node.long_id, **headers}


def _file_headers(node: Node) -> dict[str, str]:
    headers = {
        "Content-Type": content_type(node.name),
        "Last-Modified": http_date(node.mtime),
        "ETag": f'"{node.etag}"',
        "OC-ETag": f'"{node.etag}"',
        "Accept-Ranges": "bytes",
    }
    return {**headers, "OC-Checksum": node.checksum} if node.checksum else headers


def _ranged(request: Request, response: Response, node: Node) -> Response:
    """Cut the answer down to the range that was asked for (RFC 9110, one range)."""
    span = re.fullmatch(r"bytes=(\d*)-(\d*)", request.header("Range") or "")
    if span is None or span[0] == "bytes=-" or not _if_range(request, node):
        return response
    first, last = _bounds(span[1], span[2], response.length)
    if first > last:
        raise DavError(416, "The requested range is not satisfiable")
    response.headers["Content-Range"] = f"bytes {first}-{last}/{response.length}"
    response.status, response.start, response.length = 206, first, last - first + 1
    return response


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last) if last else size - 1, size - 1)


def _if_range(request: Request, node: Node) -> bool:
    header = request.header("If-Range")
    return header is None or header in {f'"{node.etag}"', http_date(node.mtime)}
