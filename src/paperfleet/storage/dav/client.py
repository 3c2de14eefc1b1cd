"""HTTP for WebDAV: one pool, one cookie jar, bounded redirects, errors of this package only."""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from paperfleet.errors import (
    CredentialsError,
    LockedError,
    NotAStorageError,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.addresses import DEFAULT_PORTS
from paperfleet.storage.dav.answers import Answer, error_of
from paperfleet.storage.dav.login import Login
from paperfleet.storage.dav.transport import error_of_transport, open_transport
from paperfleet.storage.reach import Reach
from paperfleet.storage.transport.diagnosis import HttpAddress
from paperfleet.storage.transport.exchange import HttpRequest, TransportError
from paperfleet.storage.transport.patience import LOWEST_RATE
from paperfleet.storage.transport.pool import HttpPool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from paperfleet.secret import Secret
    from paperfleet.storage.dav.login import Identity
    from paperfleet.storage.dav.urls import DavRoot
    from paperfleet.storage.transport.exchange import HttpResponse, Transport

MOST_REDIRECTS = 5
UNLOCKING = (0.05, 0.15, 0.4, 1.0)
"""Seconds to wait for a lock: servers hold one while they work on a name or its folder."""

MOST_BODY = 1 << 20
"""Bytes of an answer that are read where no stream is asked for."""

MOST_REFUSAL = 64 * 1024
"""Bytes of an error's answer that are looked at."""

_SHORT_BODY = 1 << 20
_REDIRECTS = {301, 302, 307, 308}
_SAFE = {"GET", "HEAD", "OPTIONS", "PROPFIND", "MKCOL"}
_ALWAYS = {"User-Agent": "paperfleet", "Accept": "*/*"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``path`` is percent-encoded; ``operation`` and ``name`` are for errors only.

    ``body`` gives the bytes anew for each attempt. ``repeatable`` says that the request may be
    sent again when the server closed the idle connection it went out on: by default those methods
    that have no other effect the second time. ``timeout`` in seconds replaces the client's.
    ``streamed``: the answer is read as it comes, and may be long.
    """

    method: str
    path: str
    operation: str = ""
    name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], bytes | Iterator[bytes]] | None = None
    repeatable: bool | None = None
    timeout: float | None = None
    identity: Identity = "session"
    streamed: bool = False

    @property
    def may_repeat(self) -> bool:
        """Say whether sending it twice is as good as once."""
        return self.method in _SAFE if self.repeatable is None else self.repeatable


class DavClient:
    """Sends requests to one origin; safe in many threads.

    ``with`` blocks nest and may be open in many threads; the outermost one opens the pool and
    closes it. ``connections`` are kept for reuse; while streams are held open there may be more.
    ``explain`` may replace the error of an answer by a more exact one, ``is_momentary`` say of
    which errors nothing was done, so that the request is sent again after a moment; it is told how
    often that was done before.
    """

    def __init__(
        self,
        root: DavRoot,
        *,
        username: str | None = None,
        password: Secret | None = None,
        verify: bool | str = True,
        certificate: str | None = None,
        timeout: float = 60,
        lowest_rate: float = LOWEST_RATE,
        connections: int = 8,
        transport: Transport | None = None,
    ) -> None:
        self.root = root
        self._login = Login(username, password)
        self.explain: Callable[[Answer, StorageError], StorageError] | None = None
        self.is_momentary: Callable[[StorageError, Request, int], bool] = is_locked
        self.server = ""
        """What the last success had as ``Server``; a proxy's own errors have the proxy's name."""
        self._reach = Reach(self._root_answers)
        self.address = HttpAddress(root.origin, root.path, verify, certificate)
        opened = functools.partial(
            open_transport,
            root.origin,
            verify=verify,
            certificate=certificate,
            connections=connections,
            timeout=timeout,
            lowest_rate=lowest_rate,
        )
        self._pool = HttpPool(opened, transport)
        self._timeout = timeout

    def __enter__(self) -> Self:
        self._pool.enter()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.leave()

    def ask(self, request: Request, accept: Collection[int]) -> Answer:
        """Send, read the whole answer, at most ``MOST_BODY`` bytes, and return it.

        A status that is not in ``accept`` raises the error that it means.
        """
        response = self.start(request, accept)
        try:
            return self._read(response, request)
        except TransportError as error:
            raise self._cut(error, request) from error
        finally:
            response.close()

    @contextlib.contextmanager
    def stream(self, request: Request, accept: Collection[int]) -> Iterator[HttpResponse]:
        """Send and yield the answer, whose body is still to be read inside the block.

        Raises like ``ask``, inside the block too.
        """
        response = self.start(request, accept)
        try:
            yield response
        except TransportError as error:
            raise self._cut(error, request) from error
        finally:
            response.close()

    def start(self, request: Request, accept: Collection[int]) -> HttpResponse:
        """Send and return the answer unread; the caller closes it. Raises like ``ask``."""
        for turn, pause in enumerate((*UNLOCKING, None)):
            response = self._follow_logged_in(request)
            if response.status in accept:
                if response.status < HTTPStatus.MULTIPLE_CHOICES:
                    self.server = response.headers.get("server", "")
                self._reach.answered(request.method)
                return response
            error = self.error(self._read_refusal(response), request)
            if pause is None or not self.is_momentary(error, request, turn):
                raise error
            time.sleep(pause)
        raise AssertionError("the last turn returns or raises")

    @property
    def has_login(self) -> bool:
        """Whether a user was given."""
        return self._login.given

    def end_requests(self, within: float) -> None:
        """End what is under way within so many seconds, and what comes later at once.

        Takes no lock: safe in a signal handler.
        """
        self._pool.end_within(within)

    def error(self, answer: Answer, request: Request) -> StorageError:
        """Return the error that an answer to a request means."""
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._login.fail()
        error = error_of(
            answer,
            method=request.method,
            operation=request.operation,
            name=request.name,
            storage=self.root.url,
        )
        if request.identity == "none":
            return error
        if self.explain is not None:
            error = self.explain(answer, error)
        return self._reach.judged(error, answer.status)

    def _root_answers(self) -> bool:
        """Say whether the server answers well for the root at this moment."""
        look = Request(
            "PROPFIND", self.root.path, headers={"Depth": "0"}, timeout=min(self._timeout, 10.0)
        )
        try:
            response = self._follow(look)
        except StorageError:
            return False
        response.close()
        return response.status == HTTPStatus.MULTI_STATUS

    def _follow_logged_in(self, request: Request) -> HttpResponse:
        """Send, unless the login was refused a moment ago; wait while another request asks."""
        if request.identity == "none":
            return self._follow(request)
        large = int(request.headers.get("Content-Length", "0")) > _SHORT_BODY
        asks, status = self._login.begin(long=large or request.timeout is not None), None
        try:
            self._check_login(request)
            response = self._follow(request)
            status = response.status
        finally:
            if asks:
                self._login.end(status)
        self._login.answered(status)
        return response

    def _follow(self, request: Request) -> HttpResponse:
        for _ in range(MOST_REDIRECTS + 1):
            response = self._send(request)
            if response.status not in _REDIRECTS:
                return response
            response.close()
            request = replace(request, path=self._redirected(request, response))
        raise self._not_here("the server redirects in a circle", request)

    def _redirected(self, request: Request, response: HttpResponse) -> str:
        here = self.root.origin + request.path
        try:
            there = urlsplit(urljoin(here, response.headers.get("location", "")))
            if _server_of(there) == _server_of(urlsplit(self.root.origin)):
                return quote(there.path or "/", safe="/%:@!$&'()*+,;=~")
            shown = f"{there.scheme}://{_authority(there)}{there.path}"
        except ValueError as error:
            raise self._not_here("the server redirects to no address", request) from error
        raise self._not_here(f"the server redirects to {shown[:300]}", request)

    def _not_here(self, reason: str, request: Request) -> NotAStorageError:
        return NotAStorageError(
            reason,
            operation=request.operation,
            name=request.name,
            storage=self.root.url,
            hint="Use the address that it leads to; the password is not sent elsewhere",
        )

    def _send(self, request: Request) -> HttpResponse:
        transport = self._pool.transport
        url = self.root.origin + request.path
        headers = {**_ALWAYS, **self._login.headers(url, request.identity), **request.headers}
        made = HttpRequest(
            request.method,
            url,
            headers,
            request.body,
            timeout=request.timeout,
            repeatable=request.may_repeat,
            streamed=request.streamed,
        )
        try:
            response = transport.send(made)
        except TransportError as error:
            raise self._cut(error, request) from error
        self._login.take_cookies(url, response, request.identity)
        return response

    def _read(self, response: HttpResponse, request: Request) -> Answer:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > MOST_BODY:
                raise self.failure(
                    UnavailableError, "the answer is too long", request.operation, request.name
                )
        return Answer(response.status, response.headers, bytes(body))

    @staticmethod
    def _read_refusal(response: HttpResponse) -> Answer:
        body = b""
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MOST_REFUSAL:
                    break
        except TransportError:
            body = b""  # the status has been said, only the reason is missing
        finally:
            response.close()
        return Answer(response.status, response.headers, body[:MOST_REFUSAL])

    def _check_login(self, request: Request) -> None:
        if request.identity != "none" and self._login.rests():
            raise self.failure(
                CredentialsError,
                "the server did not accept user and password a moment ago",
                request.operation,
                request.name,
            )

    def failure(
        self, kind: type[StorageError], reason: str, operation: str, name: str
    ) -> StorageError:
        """Return an error of this storage that no answer told."""
        return kind(reason, operation=operation, name=name, storage=self.root.url)

    def _cut(self, error: TransportError, request: Request) -> StorageError:
        return error_of_transport(
            error, operation=request.operation, name=request.name, storage=self.root.url
        )


def is_locked(error: StorageError, _request: Request, _turn: int) -> bool:
    """Say whether a lock is in the way (423, or 500 with Nextcloud's ``LockedException``)."""
    return isinstance(error, LockedError)


def _server_of(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


def _authority(parts: SplitResult) -> str:
    """Return host and port, without a user and a password before them."""
    return parts.netloc.rpartition("@")[2]
