"""Reading the answer to PROPFIND (RFC 4918, 13) while it arrives, in constant memory."""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import TYPE_CHECKING, NamedTuple, cast

from lxml import etree

from paperfleet.errors import NotAStorageError, UnavailableError
from paperfleet.storage.dav.values import MOST_SECONDS, number_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lxml.etree import _Element as Element

DAV = "{DAV:}"
OWNCLOUD = "{http://owncloud.org/ns}"
_HREF, _STATUS, _PROPSTAT, _PROP = (
    f"{DAV}{name}" for name in ("href", "status", "propstat", "prop")
)
_RESOURCETYPE, _COLLECTION = f"{DAV}resourcetype", f"{DAV}collection"
_LENGTH, _MODIFIED, _ETAG = (
    f"{DAV}{name}" for name in ("getcontentlength", "getlastmodified", "getetag")
)
_AVAILABLE = f"{DAV}quota-available-bytes"
_FILEID = f"{OWNCLOUD}fileid"
MOST_BYTES = 4 << 30
"""Of one multistatus, unpacked."""

MOST_ENTRIES = 10_000_000
"""Of one multistatus: more documents than anybody has."""

MOST_ENTRY_BYTES = 1 << 20
"""Of what may arrive without completing a single entry."""

HEAD_BYTES = 4096
"""In which a listing has said what it is, whatever namespaces come first."""

_IMF_FIXDATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
"""RFC 9110, 5.6.7: what nearly every server sends; parsed four times as fast as any other date."""

_MONTH_NAMES = "JanFebMarAprMayJunJulAugSepOctNovDec"
_MONTHS = {_MONTH_NAMES[at : at + 3]: at // 3 + 1 for at in range(0, 36, 3)}
_COMPRESSED = re.compile(r'-(?:gzip|br|deflate)"$')

MOST_ETAG = 1024
"""Characters of an etag: servers take header lines of 8 KB."""

PROPERTIES = b"""<?xml version="1.0" encoding="utf-8"?>
<d:propfind xmlns:d="DAV:"><d:prop>
<d:resourcetype/><d:getcontentlength/><d:getlastmodified/><d:getetag/>
</d:prop></d:propfind>"""

NEXTCLOUD_PROPERTIES = b"""<?xml version="1.0" encoding="utf-8"?>
<d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop>
<d:resourcetype/><d:getcontentlength/><d:getlastmodified/><d:getetag/><oc:fileid/>
</d:prop></d:propfind>"""

QUOTA_ONLY = b"""<?xml version="1.0" encoding="utf-8"?>
<d:propfind xmlns:d="DAV:"><d:prop>
<d:resourcetype/><d:quota-available-bytes/>
</d:prop></d:propfind>"""

ETAG_ONLY = b"""<?xml version="1.0" encoding="utf-8"?>
<d:propfind xmlns:d="DAV:"><d:prop><d:resourcetype/><d:getetag/></d:prop></d:propfind>"""


class DavEntry(NamedTuple):
    """One resource of a multistatus.

    ``status`` is 200, or the status that the server gives for this resource, or for all of its
    properties, instead of them.
    ``size`` is None where the server tells none that can be one. ``modified_ns`` is exact to the
    second, as HTTP dates are. ``free`` are the bytes that may still be stored there (RFC 4331, 3).
    """

    href: str
    is_folder: bool
    size: int | None = None
    modified_ns: int | None = None
    etag: str | None = None
    file_id: str | None = None
    status: int = 200
    free: int | None = None


def read_entries(pieces: Iterable[bytes], *, storage: str = "") -> Iterator[DavEntry]:
    """Yield the entries of a multistatus whose bytes arrive in ``pieces``.

    Raises ``NotAStorageError`` when it is not one, has a document type (entities), or is larger
    than any honest answer; ``UnavailableError`` when it ends too early.
    """
    parser = etree.XMLPullParser(
        events=("end",),
        tag=f"{DAV}response",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    total = since_entry = entries = 0
    head = b""
    for piece in pieces:
        head += piece[: HEAD_BYTES - len(head)]
        total += len(piece)
        since_entry += len(piece)
        for element in _completed(parser, piece, storage):
            since_entry, entries = 0, entries + 1
            yield _entry(element, storage)
            _forget(element)
        if total > MOST_BYTES or entries > MOST_ENTRIES or since_entry > MOST_ENTRY_BYTES:
            raise NotAStorageError("the listing is too large to be true", storage=storage)
    if b"multistatus" not in head:
        raise _not_a_listing(storage)
    try:
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise UnavailableError("the listing ends too early", storage=storage) from error
    _check_document(root, storage)


def _completed(parser: etree.XMLPullParser, piece: bytes, storage: str) -> Iterator[Element]:
    try:
        parser.feed(piece)
        for _event, element in parser.read_events():
            yield cast("Element", element)
    except etree.XMLSyntaxError as error:
        raise _not_a_listing(storage) from error


def _not_a_listing(storage: str) -> NotAStorageError:
    return NotAStorageError(
        "the answer is not a WebDAV listing",
        storage=storage,
        hint="Is this the address of a WebDAV folder, and not of a web page?",
    )


def _check_document(root: Element, storage: str) -> None:
    if root.tag != f"{DAV}multistatus":
        raise _not_a_listing(storage)
    if root.getroottree().docinfo.internalDTD is not None:
        raise NotAStorageError("the listing has a document type", storage=storage)


def _entry(element: Element, storage: str) -> DavEntry:
    if element.getroottree().docinfo.internalDTD is not None:
        raise NotAStorageError("the listing has a document type", storage=storage)
    href, status, refused = "", None, None
    properties: list[Element] = []
    for child in element:
        if child.tag == _HREF:
            href = child.text or ""
        elif child.tag == _STATUS:
            status = _status(child.text)
        elif child.tag == _PROPSTAT:
            told, of_them = _propstat(child)
            if told in {200, None}:
                properties += of_them
            elif refused in {404, None}:  # that one property is missing says the least
                refused = told
    if not href.strip():
        raise NotAStorageError("the listing has an entry without address", storage=storage)
    if not properties:
        return DavEntry(href, is_folder=False, status=status or refused or 404)
    return _described(href, properties, status or 200)


def _propstat(propstat: Element) -> tuple[int | None, list[Element]]:
    """Return the status and the properties of a propstat.

    A server may give one propstat for each status, or one for each property.
    """
    status = None
    properties: list[Element] = []
    for child in propstat:
        if child.tag == _PROP:
            properties.append(child)
        elif child.tag == _STATUS:
            status = _status(child.text)
    return status, properties


def _described(href: str, properties: list[Element], status: int) -> DavEntry:
    texts = {}
    is_folder = False
    for child in (child for found in properties for child in found):
        if child.tag == _RESOURCETYPE:
            is_folder = is_folder or child.find(_COLLECTION) is not None
        else:
            texts[child.tag] = child.text
    return DavEntry(
        href,
        is_folder=is_folder,
        size=number_of(texts.get(_LENGTH)),
        modified_ns=time_of(texts.get(_MODIFIED)),
        etag=clean_etag(texts.get(_ETAG)),
        file_id=texts.get(_FILEID) or None,
        status=status,
        free=number_of(texts.get(_AVAILABLE)),
    )


def _forget(element: Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


@functools.lru_cache(maxsize=64)
def _status(line: str | None) -> int | None:
    found = re.match(r"HTTP/\S+\s+(\d{3})", (line or "").strip())
    return int(found[1]) if found else None


@functools.lru_cache(maxsize=64)
def time_of(date: str | None) -> int | None:
    """Return an HTTP date in nanoseconds since the epoch, None when it is none.

    Only what fits into 64 bits: the years 1678 to 2262.
    """
    if not date:
        return None
    fixed = _IMF_FIXDATE.fullmatch(date)
    if fixed is None:
        seconds = seconds_of(date)
        return None if seconds is None else int(seconds) * 10**9
    day, month, year, hour, minute, second = fixed.groups()
    try:
        moment = dt.datetime(
            int(year),
            _MONTHS[month],
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=dt.UTC,
        )
    except (ValueError, KeyError):
        return None
    since = int(moment.timestamp())
    return since * 10**9 if abs(since) < MOST_SECONDS else None


def clean_etag(text: str | None) -> str | None:
    """Return what of an etag stays the same as long as the file does: quoted, never weak.

    Apache calls the etag of a file weak for its first second, and appends to it when it compresses.
    None for one that could not be sent back in a condition (RFC 9110, 8.8.3).
    """
    etag = (text or "").strip().removeprefix("W/")
    if not etag or len(etag) > MOST_ETAG or not (etag.isascii() and etag.isprintable()):
        return None
    if not etag.endswith('"'):
        etag = f'"{etag}"'
    return _COMPRESSED.sub('"', etag) if "-" in etag else etag
