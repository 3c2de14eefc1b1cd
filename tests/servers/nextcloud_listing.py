"""PROPFIND and PROPPATCH of files in the Nextcloud double."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.nextcloud_errors import DavError
from tests.servers.nextcloud_mtime import parse_mtime
from tests.servers.nextcloud_properties import ALL, href, resource
from tests.servers.nextcloud_xml import (
    NC,
    OC,
    D,
    element,
    multistatus,
    parse,
    response_element,
    wanted_properties,
    xml_response,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element
    from tests.servers.nextcloud_files import Files
    from tests.servers.nextcloud_http import Request, Response
    from tests.servers.nextcloud_nodes import Node

_READ_ONLY = {
    f"{D}getcontentlength",
    f"{D}getlastmodified",
    f"{D}resourcetype",
    f"{OC}checksums",
    f"{OC}fileid",
    f"{OC}id",
    f"{OC}permissions",
    f"{OC}size",
    f"{NC}upload_time",
}


def propfind(files: Files, request: Request, path: str, prefix: str, user: str) -> Response:
    """List a node, its children with depth 1, everything below with depth infinity."""
    wanted = wanted_properties(request.body.read())
    with files.lock:
        nodes = list(_listed(files.get(path), request.header("Depth") or "1"))
        resources = [resource(files, node, prefix, user) for node in nodes]
        return multistatus(request, resources, wanted or ALL, sparse=wanted is None)


def _listed(node: Node, depth: str) -> Iterator[Node]:
    if depth == "infinity":
        yield from node.walk()
        return
    yield node
    if depth != "0":
        yield from list(node.children.values())


def proppatch(files: Files, request: Request, path: str, prefix: str) -> Response:
    """Set properties; `d:lastmodified` sets the mtime."""
    changes = list(_changes(parse(request.body.read())))
    with files.lock:
        node = files.get(path)
        statuses = [(_set(files, node, name, value), name) for name, value in changes]
    groups = [
        (status, "".join(element(name, None) for state, name in statuses if state == status))
        for status in (200, 403)
    ]
    return xml_response(request, [response_element(href(node, prefix), groups)])


def _changes(update: _Element) -> Iterator[tuple[str, str | None]]:
    if update.tag != f"{D}propertyupdate":
        raise DavError(400, "The body must be a propertyupdate element")
    for action in update:
        for prop in action.iter(f"{D}prop"):
            for child in prop:
                yield str(child.tag), (child.text or "") if action.tag == f"{D}set" else None


def _set(files: Files, node: Node, name: str, value: str | None) -> int:
    if name in _READ_ONLY:
        return 403
    if name == f"{D}lastmodified":
        files.touch(node, parse_mtime(value or ""))
    elif value is None:
        node.properties.pop(name, None)
    else:
        node.properties[name] = value
    return 200
