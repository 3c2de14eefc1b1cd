"""WebDAV properties of files and folders in the Nextcloud double."""

from __future__ import annotations

import mimetypes
from email.utils import formatdate
from typing import TYPE_CHECKING

from tests.servers.nextcloud_names import encode
from tests.servers.nextcloud_xml import NC, OC, D, Resource, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.nextcloud_files import Files
    from tests.servers.nextcloud_nodes import Node

# What sabre answers to a PROPFIND without a body; Nextcloud's own properties must be asked for.
ALL = [
    f"{D}getlastmodified",
    f"{D}getcontentlength",
    f"{D}resourcetype",
    f"{D}getetag",
    f"{D}getcontenttype",
    f"{D}quota-used-bytes",
    f"{D}quota-available-bytes",
]
UNLIMITED = "-3"


def content_type(name: str) -> str:
    """Return the type that a name stands for."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def http_date(seconds: float) -> str:
    """Write a time as HTTP does."""
    return formatdate(seconds, usegmt=True)


def _file(value: Callable[[Node], str]) -> Callable[[Node], str | None]:
    return lambda node: None if node.folder else value(node)


def _folder(value: Callable[[Node], str]) -> Callable[[Node], str | None]:
    return lambda node: value(node) if node.folder else None


def _checksums(node: Node) -> str | None:
    inner = f"<oc:checksum>{text(node.checksum)}</oc:checksum>"
    return inner if node.checksum else None


_OF_NODE: dict[str, Callable[[Node], str | None]] = {
    f"{D}getlastmodified": lambda node: http_date(node.mtime),
    f"{D}getcontentlength": _file(lambda node: str(node.size)),
    f"{D}resourcetype": lambda node: "<d:collection/>" if node.folder else "",
    f"{D}getetag": lambda node: f"&quot;{node.etag}&quot;",
    f"{D}getcontenttype": _file(lambda node: content_type(node.name)),
    f"{D}displayname": lambda node: text(node.name),
    f"{D}quota-used-bytes": _folder(lambda node: str(node.total())),
    f"{OC}fileid": lambda node: str(node.id),
    f"{OC}id": lambda node: node.long_id,
    f"{OC}checksums": _checksums,
    f"{OC}permissions": lambda node: node.permissions,
    f"{OC}size": lambda node: str(node.total()),
    f"{OC}favorite": lambda node: node.properties.get(f"{OC}favorite", "0"),
    f"{NC}upload_time": _file(lambda node: str(node.uploaded)),
    f"{NC}creation_time": _file(lambda node: node.properties.get(f"{NC}creation_time", "0")),
}


def resource(files: Files, node: Node, prefix: str, user: str) -> Resource:
    """Return a node as an entry of a listing; `prefix` is the URL path above it."""
    free = files.free()

    def value(name: str) -> str | None:
        if name in _OF_NODE:
            return _OF_NODE[name](node)
        if name == f"{D}quota-available-bytes":
            told = free is not None and not node.path  # 34.0.1 tells it of all files only
            return (str(free) if told else UNLIMITED) if node.folder else None
        if name in {f"{OC}owner-id", f"{OC}owner-display-name"}:
            return text(user)
        stored = node.properties.get(name)
        return None if stored is None else text(stored)

    return Resource(href(node, prefix), value)


def href(node: Node, prefix: str) -> str:
    """Return the encoded URL path of a node; folders end with a slash."""
    path = node.path
    return encode(f"{prefix}{path}/" if node.folder and path else f"{prefix}{path}")
