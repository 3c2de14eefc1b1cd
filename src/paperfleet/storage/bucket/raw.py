"""Listing a bucket of S3 key by key, as the store has them.

obstore ends a listing at the first key that is no path (an empty segment, ``..``), and takes the
slash off the end of keys. Here every key arrives as it is: one request for a thousand keys
(Amazon S3 API reference, ListObjectsV2), signed by hand (Amazon S3 API reference, "Authenticating
requests: using the Authorization header (AWS Signature Version 4)").
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import hmac
import threading
import time
import weakref
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote_plus, urlsplit

from lxml import etree

from paperfleet.errors import (
    ConfigurationError,
    CredentialsError,
    NotAStorageError,
    UnavailableError,
)
from paperfleet.storage.bucket.errors import CODES
from paperfleet.storage.names import readable
from paperfleet.storage.transport.curl import CurlTransport
from paperfleet.storage.transport.exchange import HttpRequest, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.storage.bucket.copying import Service
    from paperfleet.storage.transport.exchange import HttpResponse

_EMPTY = hashlib.sha256(b"").hexdigest()
_TIMEOUT = 60.0
_RETRIES = 2
MOST_BYTES = 16 << 20
"""Of one page: a thousand keys of at most 1,024 bytes, percent-encoded, with what is around."""


class Listed(NamedTuple):
    """An object as a listing tells it; ``key`` is any text, the size in bytes."""

    key: str
    size: int
    modified_ns: int
    etag: str | None


class RawListing:
    """Lists one bucket over connections that stay open between listings, until ``close``.

    Raises ``UnavailableError``, ``CredentialsError``; what the store's own code means (``CODES``);
    ``NotAStorageError`` for another answer.
    """

    def __init__(self, service: Service, label: str) -> None:
        self._service, self._label = service, label
        self._lock = threading.Lock()
        self._opened: CurlTransport | None = None

    def close(self) -> None:
        """Close what is open; the next listing opens it again."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened:
            opened.close()

    def keys(self, prefix: str, after: str = "", page_size: int = 1000) -> Iterator[Listed]:
        """Yield every object whose key begins with ``prefix`` and comes after ``after``, in order.

        Each page of so many keys is one request, made when it is asked for.
        """
        query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
        query["max-keys"] = str(page_size)
        if after:
            query["start-after"] = after
        while True:
            page = _page(self._client(), self._service, query, self._label)
            encoded = page.findtext("{*}EncodingType") == "url"
            for item in page.iterfind("{*}Contents"):
                yield _listed(item, encoded=encoded, label=self._label)
            token = page.findtext("{*}NextContinuationToken")
            if page.findtext("{*}IsTruncated") != "true" or not token:
                return
            if token == query.get("continuation-token"):
                reason = "the listing begins again where it was: it has no end"
                raise NotAStorageError(reason, operation="list", storage=self._label)
            query = {k: v for k, v in query.items() if k != "start-after"}
            query["continuation-token"] = token

    def _client(self) -> CurlTransport:
        with self._lock:
            if self._opened is None:
                self._opened = _transport(self._service, self._label)
                weakref.finalize(self, self._opened.close)
            return self._opened


def _page(
    client: CurlTransport, service: Service, query: dict[str, str], label: str
) -> etree._Element:
    reason = hint = ""
    ends = time.monotonic() + _longest(service)
    for turn in range(1 + service.retry.get("max_retries", _RETRIES)):
        if turn and time.monotonic() >= ends:
            break  # as obstore: within this time it is sent again, not beyond it
        time.sleep(_pause(service, turn))
        url, headers = _signed(service, query, dt.datetime.now(dt.UTC))
        try:
            status, content = _answered(client.send(HttpRequest("GET", url, headers)), label)
        except TransportError as error:
            reason, hint = error.reason, error.hint
            continue
        hint = ""
        if status == HTTPStatus.OK:
            return _parsed(content, label)
        reason = f"the store answered {status}"
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise CredentialsError(
                reason,
                operation="list",
                storage=label,
                hint="Is the key right, and may it list this bucket (s3:ListBucket)?",
            )
        if meaning := CODES.get(_code(content)):
            if not meaning.kind.transient:
                raise meaning.kind(
                    meaning.reason, operation="list", storage=label, hint=meaning.hint
                )
            reason = meaning.reason
        elif status < HTTPStatus.INTERNAL_SERVER_ERROR:
            break
    raise UnavailableError(reason, operation="list", storage=label, hint=hint)


def _longest(service: Service) -> float:
    """Return for how many seconds a request is sent again."""
    given = service.retry.get("retry_timeout")
    return given.total_seconds() if isinstance(given, dt.timedelta) else _TIMEOUT


def _pause(service: Service, turn: int) -> float:
    """Return how many seconds to wait before this try, as obstore does with the same options."""
    backoff = service.retry.get("backoff")
    if turn == 0 or backoff is None:
        return 0.0
    first, longest = backoff["init_backoff"], backoff["max_backoff"]
    return float(min(first * backoff["base"] ** (turn - 1), longest).total_seconds())


def _answered(response: HttpResponse, label: str) -> tuple[int, bytes]:
    """Return status and body; raise ``NotAStorageError`` for a body without end."""
    body = bytearray()
    with contextlib.closing(response):
        for piece in response.iter_bytes():
            body += piece
            if len(body) > MOST_BYTES:
                reason = "a page of the listing is too large to be true"
                raise NotAStorageError(reason, operation="list", storage=label)
    return response.status, bytes(body)


def _parse(content: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    return etree.fromstring(content, parser=parser)


def _code(content: bytes) -> str:
    """Return the code in an error of S3 (Amazon S3 API reference, "Error responses"), or ''."""
    try:
        return _parse(content).findtext("{*}Code") or ""
    except etree.XMLSyntaxError:
        return ""


def _parsed(content: bytes, label: str) -> etree._Element:
    try:
        page = _parse(content)
    except etree.XMLSyntaxError as error:
        raise UnavailableError(
            f"the listing is no XML ({readable(error.msg or '')})",
            operation="list",
            storage=label,
            hint="A key that XML cannot carry may be the cause, at a store that does not encode it",
        ) from None
    if etree.QName(page).localname != "ListBucketResult":
        raise NotAStorageError("the answer is no listing", operation="list", storage=label)
    return page


def _listed(item: etree._Element, *, encoded: bool, label: str) -> Listed:
    key = item.findtext("{*}Key") or ""
    try:
        size = int(item.findtext("{*}Size") or "")
        modified = dt.datetime.fromisoformat(item.findtext("{*}LastModified") or "")
    except ValueError:
        raise NotAStorageError(
            f"the listing tells no size or time of {readable(key)!r}",
            operation="list",
            storage=label,
        ) from None
    etag = (item.findtext("{*}ETag") or "").strip('"')
    return Listed(
        unquote_plus(key) if encoded else key,
        size,
        int(modified.timestamp()) * 1_000_000_000,
        f'"{etag}"' if etag else None,
    )


def _signed(
    service: Service, query: dict[str, str], now: dt.datetime
) -> tuple[str, dict[str, str]]:
    """Return the address and the headers of one request."""
    address = urlsplit(service.address() or "")
    path = quote(address.path or "/", safe="/-_.~")
    text = "&".join(f"{k}={quote(v, safe='-_.~')}" for k, v in sorted(query.items()))
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {"host": address.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    if token := service.config.get("session_token"):
        headers["x-amz-security-token"] = str(token)
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"GET\n{path}\n{text}\n{lines}\n{names}\n{_EMPTY}"
    region = str(service.config.get("region") or "us-east-1")
    scope = f"{day}/{region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{service.config.get('secret_access_key')}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), "sha256")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={service.config.get('access_key_id')}/{scope},"
        f" SignedHeaders={names}, Signature={signature.hex()}"
    )
    return f"{address.scheme}://{address.netloc}{path}?{text}", headers


def _transport(service: Service, label: str) -> CurlTransport:
    """Return connections to the store; raise ``ConfigurationError``."""
    address = urlsplit(service.address() or "")
    try:
        return CurlTransport(
            f"{address.scheme}://{address.netloc}",
            verify=verify_of(service),
            timeout=_timeout(service),
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"certificate or proxy for {label} cannot be used", hint=str(error)
        ) from error


def _timeout(service: Service) -> float:
    given = service.client.get("read_timeout")
    return given.total_seconds() if isinstance(given, dt.timedelta) else _TIMEOUT


def verify_of(service: Service) -> bool | bytes:
    """Return whom to believe at the store's address: see ``trust_of``."""
    if service.client.get("allow_invalid_certificates"):
        return False
    given = service.client.get("root_certificate")
    if not given:
        return True
    return given.encode() if isinstance(given, str) else given
