"""Multistatus XML of the Nextcloud double."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from lxml import etree
from tests.servers.nextcloud_errors import DavError
from tests.servers.nextcloud_http import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

D, OC, NC = "{DAV:}", "{http://owncloud.org/ns}", "{http://nextcloud.org/ns}"
_PREFIXES = {"DAV:": "d", "http://owncloud.org/ns": "oc", "http://nextcloud.org/ns": "nc"}
_HEAD = (
    '<?xml version="1.0"?>\n'
    '<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"'
    ' xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns">'
)
_SHORTEST_GZIPPED = 1024


class Resource:
    """One entry of a listing: its href and a function that gives a property as XML, or None."""

    def __init__(self, href: str, value: Callable[[str], str | None]) -> None:
        self.href = href
        self.value = value


def parse(content: bytes) -> etree._Element:
    """Parse a request body without entities; 400 when it is no XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise DavError(400, f"Could not parse XML: {error}") from error


def wanted_properties(content: bytes) -> list[str] | None:
    """Names (in Clark notation) that a PROPFIND body asks for; None for all of them."""
    if not content.strip():
        return None
    names = parse(content).find(f"{D}prop")
    return None if names is None else [str(child.tag) for child in names]


def text(value: str) -> str:
    """Escape text for XML."""
    return escape(value)


def element(name: str, inner: str | None) -> str:
    """Write an element given in Clark notation; `inner` is XML, None for nothing."""
    namespace, _, local = name[1:].partition("}") if name.startswith("{") else ("", "", name)
    prefix = _PREFIXES.get(namespace)
    tag = f"{prefix}:{local}" if prefix else f"x1:{local}"
    opening = tag if prefix else f'{tag} xmlns:x1="{escape(namespace)}"'
    return f"<{opening}/>" if not inner else f"<{opening}>{inner}</{tag}>"


def multistatus(
    request: Request, resources: Iterable[Resource], names: Sequence[str], *, sparse: bool
) -> Response:
    """Answer 207 with these properties; with `sparse` unknown ones are left out, else 404."""
    minimal = sparse or "return=minimal" in (request.header("Prefer") or "")
    parts = [_response(resource, names, minimal=minimal) for resource in resources]
    return xml_response(request, parts)


def xml_response(request: Request, parts: Iterable[str]) -> Response:
    """Answer 207 with these `d:response` elements, gzipped when the client can read that."""
    content = "".join([_HEAD, *parts, "</d:multistatus>\n"]).encode()
    headers = {"Content-Type": "application/xml; charset=utf-8", "Vary": "Brief,Prefer"}
    if len(content) >= _SHORTEST_GZIPPED and "gzip" in (request.header("Accept-Encoding") or ""):
        headers["Content-Encoding"] = "gzip"
        content = gzip.compress(content, 1)
    return Response(207, headers, content)


def response_element(href: str, statuses: Iterable[tuple[int, str]]) -> str:
    """Write a `d:response` with a propstat per (status, XML of properties)."""
    stats = "".join(_propstat(status, inner) for status, inner in statuses if inner)
    return f"<d:response><d:href>{escape(href)}</d:href>{stats}</d:response>"


def _response(resource: Resource, names: Sequence[str], *, minimal: bool) -> str:
    values = [(name, resource.value(name)) for name in names]
    found = "".join(element(name, value) for name, value in values if value is not None)
    missing = "" if minimal else "".join(_missing(values))
    return response_element(resource.href, [(200, found), (404, missing)])


def _missing(values: Iterable[tuple[str, str | None]]) -> Iterator[str]:
    return (element(name, None) for name, value in values if value is None)


def _propstat(status: int, inner: str) -> str:
    phrase = {200: "OK", 403: "Forbidden", 404: "Not Found"}[status]
    return (
        f"<d:propstat><d:prop>{inner}</d:prop>"
        f"<d:status>HTTP/1.1 {status} {phrase}</d:status></d:propstat>"
    )
