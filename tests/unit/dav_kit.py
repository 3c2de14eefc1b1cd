"""A WebDAV server of a few lines for unit tests: answers from a function, requests remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import httpx

from paperfleet.storage.dav.client import DavClient
from paperfleet.storage.dav.folders import Folders
from paperfleet.storage.dav.listing import DavListing
from paperfleet.storage.dav.trials import NEXTCLOUD, Traits, Trials
from paperfleet.storage.dav.urls import parse_root
from paperfleet.storage.transport.exchange import CutOffError, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paperfleet.secret import Secret
    from paperfleet.storage.transport.exchange import HttpRequest, Transport

URL = "https://cloud.example/dav/Folder/"


@dataclass
class Server:
    """Answers each request by ``answer`` (a list: one after the other, the last one for ever)."""

    answer: Callable[[httpx.Request], httpx.Response] | list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    @property
    def transport(self) -> Transport:
        return _Given(self)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if callable(self.answer):
            return self.answer(request)
        answer = self.answer[min(len(self.requests), len(self.answer)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def log(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]


class _Given:
    """A transport that hands everything to a ``Server``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def send(self, request: HttpRequest) -> HttpResponse:
        body = request.body() if request.body is not None else None
        content = body if body is None or isinstance(body, bytes) else b"".join(body)
        headers = {k: v for k, v in request.headers.items() if k.lower() != "content-length"}
        made = httpx.Request(request.method, request.url, headers=headers, content=content)
        answer = self._server.handle(made)
        cookies = answer.headers.get_list("set-cookie")
        read = answer.is_closed or answer.is_stream_consumed
        pieces = (answer.content,) if read else answer.stream
        return HttpResponse(
            answer.status_code,
            dict(answer.headers.items()),
            cookies,
            cast("Iterable[bytes]", pieces),
            answer.close,
        )

    def end_within(self, seconds: float) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """There is no connection."""


CUT = CutOffError("the connection was cut", sent=True)


def client(
    server: Server,
    url: str = URL,
    *,
    username: str | None = "alice",
    password: Secret | None = None,
) -> DavClient:
    return DavClient(
        parse_root(url), username=username, password=password, transport=server.transport
    )


def known(dav: DavClient, traits: Traits = NEXTCLOUD) -> Trials:
    """Return a server that need not be tried."""
    looking = DavListing(dav)
    return Trials(dav, looking, Folders(dav, looking), traits)


def entry(
    path: str,
    *,
    folder: bool = False,
    size: int = 1,
    etag: str = '"e"',
    modified: str = "Fri, 14 Jul 2017 02:40:00 GMT",
    status: str = "HTTP/1.1 200 OK",
) -> str:
    """Return the XML of one resource; ``path`` is below the root, plain."""
    kind = "<d:collection/>" if folder else ""
    href = "/dav/Folder/" + quote(path) + ("/" if folder and path else "")
    return (
        f"<d:response><d:href>{href}</d:href><d:propstat><d:prop>"
        f"<d:resourcetype>{kind}</d:resourcetype><d:getcontentlength>{size}</d:getcontentlength>"
        f"<d:getlastmodified>{modified}</d:getlastmodified>"
        f"<d:getetag>{etag}</d:getetag></d:prop><d:status>{status}</d:status></d:propstat>"
        "</d:response>"
    )


def multistatus(entries: Iterable[str]) -> bytes:
    head = '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">'
    return f"{head}{''.join(entries)}</d:multistatus>".encode()


def listing(*entries: str) -> httpx.Response:
    return httpx.Response(207, content=multistatus(entries))


def sabre(status: int, exception: str = "", message: str = "") -> httpx.Response:
    """Return an error in the shape in which sabre/dav and Nextcloud answer."""
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">'
        f"<s:exception>{exception}</s:exception><s:message>{message}</s:message></d:error>"
    )
    return httpx.Response(
        status, content=body.encode(), headers={"Content-Type": "application/xml"}
    )
