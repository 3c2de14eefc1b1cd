"""Conditional requests, `Destination` and `Overwrite` as sabre/dav reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.servers.nextcloud_errors import DavError, not_found
from tests.servers.nextcloud_names import decode

if TYPE_CHECKING:
    from tests.servers.nextcloud_http import Request
    from tests.servers.nextcloud_nodes import Node


def check_conditions(request: Request, node: Node | None) -> bool:
    """Check If-Match and If-None-Match against the node at the request's own path.

    As sabre/dav does (``Server::checkPreconditions``): for every method, and a folder has no etag
    there, so that of a folder only ``*`` ever matches. Returns True when a GET or HEAD is to be
    answered with 304; raises 412.
    """
    if not _holds_match(request.header("If-Match"), node):
        raise DavError(412, "An If-Match header was specified, but none of the ETags matched.")
    if not _matches_any(request.header("If-None-Match"), node):
        return False
    if request.method in {"GET", "HEAD"}:
        return True
    raise DavError(412, "An If-None-Match header was specified, but the ETag matched")


def _holds_match(header: str | None, node: Node | None) -> bool:
    return header is None or _matches_any(header, node)


def _matches_any(header: str | None, node: Node | None) -> bool:
    if header is None or node is None:
        return False
    tags = [tag.strip().strip('"') for tag in header.split(",")]
    return header.strip() == "*" or (not node.folder and node.etag in tags)


@dataclass(frozen=True)
class Target:
    """Where a MOVE or COPY goes, decoded, below a prefix."""

    path: str
    overwrite: bool


def target_of(request: Request, prefix: str) -> Target:
    """Read Destination and Overwrite. `prefix` is the URL path of the user's files, with slash."""
    destination = request.header("Destination")
    if destination is None:
        raise DavError(400, "The destination header was not supplied")
    overwrite = (request.header("Overwrite") or "T").upper()
    if overwrite not in {"T", "F"}:
        raise DavError(400, "The HTTP Overwrite header should be either T or F")
    return Target(_path_below(_local_path(request, destination), prefix), overwrite == "T")


def _local_path(request: Request, destination: str) -> str:
    if destination.startswith("/"):
        return destination
    parts = urlsplit(destination)
    if parts.scheme != "http" or parts.netloc != request.header("Host"):
        raise not_found(destination)
    return parts.path


def _path_below(raw: str, prefix: str) -> str:
    path = "/" + decode(raw)
    if path.startswith(prefix):
        return path[len(prefix) :]
    shared = prefix.rsplit("/", 2)[0] + "/"
    if path.startswith(shared):
        raise DavError(403, "Destination is in somebody else's folder")
    raise not_found(path)
