"""A plain WebDAV client for tests of the servers: no retries, no checks, nothing remembered."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import httpx
from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.servers.base import WebDavServer

NAMESPACES = {"d": "DAV:", "oc": "http://owncloud.org/ns", "nc": "http://nextcloud.org/ns"}

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # spares the loading of certificates


def trust_of(server: WebDavServer) -> ssl.SSLContext:
    """Return what httpx takes as `verify` to reach a server of the tests."""
    if isinstance(server.verify, str):
        return ssl.create_default_context(cafile=server.verify)
    return _NO_TLS


class DavClient(httpx.Client):
    """httpx with the WebDAV methods; paths are plain text below the server's root."""

    def __init__(self, server: WebDavServer, *, auth: tuple[str, str] | None = None) -> None:
        login, trust = auth or server.auth, trust_of(server)
        super().__init__(base_url=server.url, auth=login, timeout=60, verify=trust)
        self.root = server.url

    def dav(
        self, method: str, path: str = "", content: bytes = b"", **headers: str
    ) -> httpx.Response:
        """Send a request; `If_Match="*"` becomes the header If-Match."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(method, quote(path), content=content, headers=named)

    def store(self, path: str, content: bytes = b"x", **headers: str) -> httpx.Response:
        """PUT."""
        return self.dav("PUT", path, content, **headers)

    def shift(self, method: str, old: str, new: str, **headers: str) -> httpx.Response:
        """MOVE or COPY."""
        headers["Destination"] = self.root + quote(new)
        return self.dav(method, old, b"", **headers)

    def values(self, path: str = "", *names: str, depth: str = "0") -> dict[str, dict[str, str]]:
        """PROPFIND: text of each property that was found, by path below the root."""
        answer = self.listing(path, names, depth)
        assert answer.status_code == 207, answer.text
        base = httpx.URL(self.root).path
        found = {}
        for entry in etree.fromstring(answer.content).iterfind("d:response", NAMESPACES):
            href = unquote(str(entry.findtext("d:href", namespaces=NAMESPACES)))
            found[href.removeprefix(unquote(base)).rstrip("/")] = dict(_found(entry))
        return found

    def value(self, path: str, name: str) -> str | None:
        """One property of one path, None when it is not there."""
        return next(iter(self.values(path, name).values())).get(name)

    def listing(self, path: str, names: Iterable[str], depth: str) -> httpx.Response:
        """Send a PROPFIND for properties such as `d:getetag`."""
        scopes = " ".join(f'xmlns:{key}="{value}"' for key, value in NAMESPACES.items())
        wanted = "".join(f"<{name}/>" for name in names)
        body = f"<d:propfind {scopes}><d:prop>{wanted}</d:prop></d:propfind>"
        if not wanted:
            return self.dav("PROPFIND", path, Depth=depth)
        kind = "application/xml"  # lighttpd asks for it
        return self.dav("PROPFIND", path, body.encode(), Depth=depth, Content_Type=kind)

    def etag(self, path: str = "") -> str:
        """ETag of a path, with quotes."""
        return self.value(path, "d:getetag") or ""


def _found(entry: Any) -> Iterable[tuple[str, str]]:  # noqa: ANN401
    for stat in entry.iterfind("d:propstat", NAMESPACES):
        if " 200 " in stat.findtext("d:status", namespaces=NAMESPACES):
            for child in stat.find("d:prop", NAMESPACES):
                prefix = next(k for k, v in NAMESPACES.items() if child.tag.startswith(f"{{{v}}}"))
                name = child.tag.partition("}")[2]
                yield f"{prefix}:{name}", "".join(child.itertext())


def multipart(files: Mapping[str, bytes], *, wrong_md5: str = "", mtime: str = "") -> bytes:
    """Return a body for the bulk endpoint with boundary `b`; one part may lie about its MD5."""
    parts = []
    for path, content in files.items():
        md5 = "0" * 32 if path == wrong_md5 else hashlib.md5(content).hexdigest()  # noqa: S324
        head = f"--b\r\nX-File-Path: {path}\r\nX-File-MD5: {md5}\r\nContent-Length: {len(content)}"
        head += f"\r\nX-OC-Mtime: {mtime}" if mtime else ""
        parts.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + b"--b--\r\n"


BULK_TYPE = "multipart/related; boundary=b"
