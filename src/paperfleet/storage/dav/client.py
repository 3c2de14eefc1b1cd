"""HTTP for WebDAV: one pool, one cookie jar, bounded redirects, errors of this package only."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

import httpx

from paperfleet.errors import (
    ConfigurationError,
    CredentialsError,
    LockedError,
    NotAStorageError,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.dav.answers import Answer, error_of
from paperfleet.storage.dav.login import Login, refusing_jar
from paperfleet.storage.dav.transport import Reused, error_of_transport, make_transport
from paperfleet.storage.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from paperfleet.secret import Secret
    from paperfleet.storage.dav.login import Identity
    from paperfleet.storage.dav.urls import DavRoot

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
_STALE = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``path`` is percent-encoded; ``operation`` and ``name`` are for errors only.

    ``body`` gives the bytes anew for each attempt. ``repeatable`` says that the request may be
    sent again when the server closed the idle connection it went out on: by default those methods
    that have no other effect the second time. ``timeout`` in seconds replaces the client's.
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
        timeout: float = 60,
        connections: int = 8,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.root = root
        self._login = Login(username, password)
        self.explain: Callable[[Answer, StorageError], StorageError] | None = None
        self.is_momentary: Callable[[StorageError, Request, int], bool] = is_locked
        self._reach = Reach(self._root_answers)
        self._verify = verify
        self._timeout = timeout
        self._connections = connections
        self._transport = transport
        self._lock = threading.Lock()
        self._depth = 0
        self._http: httpx.Client | None = None

    def __enter__(self) -> Self:
        with self._lock:
            if self._http is None:
                self._http = self._opened()
            self._depth += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            client, self._http = self._http, None
        if client is not None:
            client.close()

    def ask(self, request: Request, accept: Collection[int]) -> Answer:
        """Send, read the whole answer, at most ``MOST_BODY`` bytes, and return it.

        A status that is not in ``accept`` raises the error that it means.
        """
        with self.stream(request, accept) as response:
            return self._read(response, request)

    @contextlib.contextmanager
    def stream(self, request: Request, accept: Collection[int]) -> Iterator[httpx.Response]:
        """Send and yield the answer, whose body is still to be read inside the block.

        Raises like ``ask``; httpx errors inside the block are translated too.
        """
        response = self.start(request, accept)
        try:
            yield response
        except httpx.HTTPError as error:
            raise self._cut(error, request) from error
        finally:
            response.close()

    def start(self, request: Request, accept: Collection[int]) -> httpx.Response:
        """Send and return the answer unread; the caller closes it. Raises like ``ask``."""
        for turn, pause in enumerate((*UNLOCKING, None)):
            response = self._follow_logged_in(request)
            if response.status_code in accept:
                self._reach.answered(request.method)
                return response
            error = self.error(self._read_refusal(response), request)
            if pause is None or not self.is_momentary(error, request, turn):
                raise error
            time.sleep(pause)
        raise AssertionError("the last turn returns or raises")

    def error(self, answer: Answer, request: Request) -> StorageError:
        """Return the error that an answer to a request means."""
        if answer.status == httpx.codes.UNAUTHORIZED:
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
        return response.status_code == httpx.codes.MULTI_STATUS

    def _opened(self) -> httpx.Client:
        return httpx.Client(
            transport=self._transport or self._make_transport(),
            cookies=refusing_jar(),
            headers={"User-Agent": "paperfleet", "Accept": "*/*"},
            timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, 20)),
            follow_redirects=False,
            trust_env=False,
        )

    def _make_transport(self) -> httpx.BaseTransport:
        try:
            return make_transport(
                self.root.origin, verify=self._verify, connections=self._connections
            )
        except OSError as error:
            raise ConfigurationError(
                f"the file of certificate authorities {self._verify!r} cannot be used",
                hint=str(error),
            ) from error
        except (ValueError, ImportError) as error:
            raise ConfigurationError(
                "the proxy that the environment names cannot be used",
                hint="It has to be an http:// or https:// address; see HTTPS_PROXY and NO_PROXY",
            ) from error

    def _follow_logged_in(self, request: Request) -> httpx.Response:
        """Send, unless the login was refused a moment ago; wait while another request asks."""
        if request.identity == "none":
            return self._follow(request)
        large = int(request.headers.get("Content-Length", "0")) > _SHORT_BODY
        asks, status = self._login.begin(long=large or request.timeout is not None), None
        try:
            self._check_login(request)
            response = self._follow(request)
            status = response.status_code
        finally:
            if asks:
                self._login.end(status)
        self._login.answered(status)
        return response

    def _follow(self, request: Request) -> httpx.Response:
        for _ in range(MOST_REDIRECTS + 1):
            response = self._send(request)
            if response.status_code not in _REDIRECTS:
                return response
            response.close()
            request = replace(request, path=self._redirected(request, response))
        raise self._not_here("the server redirects in a circle", request)

    def _redirected(self, request: Request, response: httpx.Response) -> str:
        try:
            there = urljoin(self.root.origin + request.path, response.headers.get("location", ""))
            target = httpx.URL(there).copy_with(userinfo=None, query=None, fragment=None)
        except (ValueError, httpx.InvalidURL) as error:
            raise self._not_here("the server redirects to no address", request) from error
        origin = httpx.URL(self.root.origin)
        if (target.scheme, target.host, _port(target)) == (
            origin.scheme,
            origin.host,
            _port(origin),
        ):
            return httpx.URL(there).raw_path.decode("ascii")
        raise self._not_here(f"the server redirects to {str(target)[:300]}", request)

    def _not_here(self, reason: str, request: Request) -> NotAStorageError:
        return NotAStorageError(
            reason,
            operation=request.operation,
            name=request.name,
            storage=self.root.url,
            hint="Use the address that it leads to; the password is not sent elsewhere",
        )

    def _send(self, request: Request) -> httpx.Response:
        reused = Reused()
        try:
            return self._send_once(request, reused)
        except _STALE as error:
            if not (reused and request.may_repeat):
                raise self._cut(error, request) from error
        except httpx.HTTPError as error:
            raise self._cut(error, request) from error
        try:
            return self._send_once(request, Reused())
        except httpx.HTTPError as error:
            raise self._cut(error, request) from error

    def _send_once(self, request: Request, reused: Reused) -> httpx.Response:
        client = self._http
        if client is None:
            raise RuntimeError("a storage is used inside its with block only")
        extensions: dict[str, Any] = {"trace": reused.note}
        if request.timeout is not None:
            extensions["timeout"] = httpx.Timeout(request.timeout).as_dict()
        made = client.build_request(
            request.method,
            self.root.origin + request.path,
            headers=dict(request.headers),
            content=request.body() if request.body is not None else None,
            extensions=extensions,
        )
        self._login.add_cookies(made, request.identity)
        response = client.send(made, stream=True, auth=self._login.auth(request.identity))
        self._login.take_cookies(response, request.identity)
        return response

    def _read(self, response: httpx.Response, request: Request) -> Answer:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > MOST_BODY:
                raise self.failure(
                    UnavailableError, "the answer is too long", request.operation, request.name
                )
        return Answer(response.status_code, _headers(response), bytes(body))

    @staticmethod
    def _read_refusal(response: httpx.Response) -> Answer:
        body = b""
        try:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MOST_REFUSAL:
                    break
        except httpx.HTTPError:
            body = b""  # the status has been said, only the reason is missing
        finally:
            response.close()
        return Answer(response.status_code, _headers(response), body[:MOST_REFUSAL])

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

    def _cut(self, error: httpx.HTTPError, request: Request) -> StorageError:
        return error_of_transport(
            error, operation=request.operation, name=request.name, storage=self.root.url
        )


def is_locked(error: StorageError, _request: Request, _turn: int) -> bool:
    """Say whether a lock is in the way (423, or 500 with Nextcloud's ``LockedException``)."""
    return isinstance(error, LockedError)


def _headers(response: httpx.Response) -> dict[str, str]:
    return {key.lower(): value for key, value in response.headers.items()}


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
