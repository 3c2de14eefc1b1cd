"""What can go wrong below HTTP: one table from httpx's exceptions to the errors of this package."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from paperfleet.errors import NotAStorageError, StorageError, UnavailableError
from paperfleet.storage.addresses import is_loopback
from paperfleet.storage.dav.answers import CERTIFICATE_HINT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Cause = TypeVar("Cause", bound=BaseException)

KEEP_IDLE = 30.0
"""Seconds for which an idle connection is kept; proxies and firewalls forget longer ones."""

_CLIENT_CERTIFICATE = {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"}
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
]


def make_transport(origin: str, *, verify: bool | str, connections: int) -> httpx.HTTPTransport:
    """Return a pool with TCP keep-alive that goes through the proxy of the environment, if any.

    ``verify`` is as in httpx: True for the usual authorities, False for none, or the path of a
    PEM file, or of a folder made by ``c_rehash``, with the authorities to trust. Raises
    ``OSError`` when that cannot be read, ``ValueError`` or ``ImportError`` when the proxy cannot be
    used.
    """
    return httpx.HTTPTransport(
        verify=_verification(origin, verify),
        proxy=_proxy(origin),
        socket_options=_KEEPALIVE,
        limits=httpx.Limits(
            max_connections=None,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEP_IDLE,
        ),
    )


def _verification(origin: str, verify: bool | str) -> ssl.SSLContext | bool:
    if origin.startswith("http:"):
        return False  # spares reading the authorities that nobody will ask for
    if not isinstance(verify, str):
        return verify
    if Path(verify).is_dir():
        return ssl.create_default_context(capath=verify)
    return ssl.create_default_context(cafile=verify)


def _proxy(origin: str) -> str | None:
    url = httpx.URL(origin)
    # What goes to this machine, perhaps unencrypted, must not leave it.
    if is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    return urllib.request.getproxies().get(url.scheme)


def error_of_transport(
    error: httpx.HTTPError | httpx.InvalidURL,
    *,
    operation: str = "",
    name: str = "",
    storage: str = "",
) -> StorageError:
    """Return the error that a failed exchange means."""
    kind, reason, hint = _meaning(error)
    return kind(reason, operation=operation, name=name, storage=storage, hint=hint)


def was_sent(error: BaseException) -> bool:
    """Say whether the request that failed so may have had its effect at the server.

    Not when no connection was made, or none through the proxy.
    """
    unsent = httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError
    return not isinstance(error.__cause__, unsent)


def _meaning(error: httpx.HTTPError | httpx.InvalidURL) -> tuple[type[StorageError], str, str]:
    causes = list(_causes(error))
    certificate = _first(causes, ssl.SSLCertVerificationError)
    if certificate is not None:
        why = certificate.verify_message or "unknown reason"
        return (
            NotAStorageError,
            f"the server's certificate is not trusted: {why}",
            "Name the file of your certificate authority, or correct the host name",
        )
    tls = _first(causes, ssl.SSLError)
    if tls is not None and tls.reason in _CLIENT_CERTIFICATE:
        return NotAStorageError, "the server wants a certificate of the client", CERTIFICATE_HINT
    if tls is not None and isinstance(error, httpx.ConnectError):
        return NotAStorageError, "the server does not speak TLS there", "Check scheme and port"
    if _first(causes, socket.gaierror) is not None:
        return UnavailableError, "the host name cannot be resolved", "Check its spelling and DNS"
    if isinstance(error, httpx.TimeoutException):
        return UnavailableError, _timed_out(error), ""
    if isinstance(error, httpx.ConnectError):
        refused = _first(causes, ConnectionRefusedError) is not None
        what = "nothing listens at this address" if refused else "no connection"
        return UnavailableError, what, "Check host and port, and whether the server runs"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return NotAStorageError, "the address cannot be used", ""
    if isinstance(error, httpx.DecodingError):
        return UnavailableError, "the answer is damaged", ""
    return UnavailableError, "the connection was cut", ""


def _timed_out(error: httpx.TimeoutException) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection within the time allowed"
    return "no answer within the time allowed"


def _first(causes: list[BaseException], kind: type[Cause]) -> Cause | None:
    return next((cause for cause in causes if isinstance(cause, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


class Reused:
    """Whether a request went out on a connection that was open before (httpcore's trace)."""

    def __init__(self) -> None:
        self._sent = False
        self._connected = False

    def note(self, event: str, _info: Mapping[str, Any]) -> None:
        """Take an event of the trace."""
        self._connected |= event == "connection.connect_tcp.started"
        self._sent |= event == "http11.send_request_headers.started"

    def __bool__(self) -> bool:
        return self._sent and not self._connected
