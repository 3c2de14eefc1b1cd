"""POST /remote.php/dav/bulk of the Nextcloud double.

Works as Nextcloud's BulkUploadPlugin: parts in order, the MD5 of each checked before it is written,
a bad one ends the request with 400 and the list of what is done; everything else that goes wrong
with a part is told inside the 200.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from tests.servers.nextcloud_errors import DavError
from tests.servers.nextcloud_http import ClientGoneError, Request, Response
from tests.servers.nextcloud_mtime import parse_mtime
from tests.servers.nextcloud_names import LONGEST, clean

if TYPE_CHECKING:
    from tests.servers.nextcloud_faults import Faults
    from tests.servers.nextcloud_files import Files

IN_MEMORY = 16 * 1024 * 1024
Outcome = dict[str, object]


@dataclass
class Part:
    """One file of a bulk request; `path` as sent."""

    path: str
    mtime: str | None
    content: bytes


class Parts:
    """Reads the parts of a multipart/related body as strictly as Nextcloud does."""

    def __init__(self, stream: IO[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._next = b"--" + boundary + b"\r\n"
        self._last = b"--" + boundary + b"--\r\n"

    def at_end(self) -> bool:
        """Tell whether the closing boundary comes next."""
        return self._is_at(self._last)

    def take(self) -> Part:
        """Read one part; 400 when it is not as it must be."""
        if not self._is_at(self._next):
            raise DavError(400, "Boundary not found where it should be.")
        self._stream.read(len(self._next))
        headers = self._headers()
        if "content-length" not in headers or "x-file-md5" not in headers:
            raise DavError(400, "Content-Length and X-File-MD5 must not be null.")
        content = self._content(int(headers["content-length"]), headers["x-file-md5"])
        mtime = headers.get("x-file-mtime", headers.get("x-oc-mtime"))
        return Part(headers.get("x-file-path", ""), mtime, content)

    def _is_at(self, expected: bytes) -> bool:
        found = self._stream.read(len(expected))
        self._stream.seek(-len(found), 1)
        return found == expected

    def _headers(self) -> dict[str, str]:
        headers = {}
        while (line := self._stream.readline()) != b"\r\n":
            name, colon, value = line.decode(errors="replace").partition(":")
            if not colon:
                raise DavError(400, "An error occurred while reading headers of a part")
            headers[name.strip().lower()] = value.strip()
        return headers

    def _content(self, length: int, md5: str) -> bytes:
        content = self._stream.read(length)
        if hashlib.md5(content).hexdigest() != md5:  # noqa: S324
            raise DavError(400, "Computed md5 hash is incorrect.")
        line_end = self._stream.read(2)
        if length and not line_end:
            raise DavError(400, "Unexpected EOF while reading stream.")
        return content


class BulkEndpoint:
    """Answers bulk uploads into the user's files."""

    def __init__(self, files: Files, faults: Faults) -> None:
        self._files, self._faults = files, faults

    def answer(self, request: Request) -> Response:
        """Store the parts of one request."""
        if request.method != "POST":
            raise DavError(501, f"There was no plugin that handles {request.method}")
        boundary = _boundary(request.header("Content-Type") or "")
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
            complete = _receive(request, spool)
            spool.seek(0)
            response = self._store(Parts(spool, boundary))
        if not complete:
            raise ClientGoneError
        return response

    def _store(self, parts: Parts) -> Response:
        done: dict[str, Outcome] = {}
        while not parts.at_end():
            try:
                part = parts.take()
            except DavError:
                return _answer(400, done)
            done[part.path] = self._store_part(part)
        return _answer(200, done)

    def _store_part(self, part: Part) -> Outcome:
        try:
            self._fail_if_told(part.path)
            mtime = None if part.mtime is None else parse_mtime(part.mtime)
            self._files.check_quota(len(part.content))
            node, _ = self._files.upload(clean(part.path), [part.content], LONGEST)
        except DavError as error:
            return {"error": True, "message": error.message}
        node.checksum = ""
        if mtime is not None:
            self._files.touch(node, mtime)
        ids = {"etag": node.etag, "fileid": node.long_id, "permissions": node.permissions}
        return {"error": False, **ids}

    def _fail_if_told(self, path: str) -> None:
        fault = self._faults.take("BULK", clean(path))
        if fault is not None and fault.status:
            raise DavError(fault.status, fault.body.decode() or f"{path} failed")


def _receive(request: Request, spool: IO[bytes]) -> bool:
    """Take in the body; False when it broke off. Nextcloud then works on what it has."""
    try:
        for block in request.body:
            spool.write(block)
    except ClientGoneError:
        return False
    return True


def _boundary(content_type: str) -> bytes:
    match = re.fullmatch(r'\s*multipart/related\s*;\s*boundary\s*=\s*("?)(.+?)\1\s*', content_type)
    if match is None:
        raise DavError(400, "Content-Type must be multipart/related")
    return match[2].encode("latin-1")


def _answer(status: int, done: dict[str, Outcome]) -> Response:
    """Write the list as PHP does: slashes escaped, an empty one as `[]`."""
    content = json.dumps(done).replace("/", "\\/") if done else "[]"
    return Response(status, {"Content-Type": "text/html; charset=UTF-8"}, content.encode())
