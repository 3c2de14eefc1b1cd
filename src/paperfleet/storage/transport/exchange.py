"""One request and its answer, and the few ways in which they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Body = Callable[[], bytes | Iterator[bytes]]
"""Gives the bytes of a body, anew for each attempt."""


CERTIFICATE_HINT = (
    "Name a file with one (client_certificate), or let the server, or a proxy before it, take user"
    " and password here"
)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is to be sent. ``url`` is whole and percent-encoded; ``headers`` name each header once.

    A body in pieces needs the header ``Content-Length``. ``timeout`` in seconds replaces that of
    the transport. ``repeatable``: sent again, once, when a connection that was open before turned
    out to be dead. ``streamed``: the answer may take its time as long as it moves on.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    timeout: float | None = None
    repeatable: bool = False
    streamed: bool = False


class HttpResponse:
    """An answer of which the head is there; the body arrives while it is read.

    ``headers`` have lower-case names; values of one name are joined by commas, except for
    ``cookies``, the values of ``Set-Cookie``. To be closed, unless it was read to its end.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        cookies: Sequence[str] = (),
        pieces: Iterable[bytes] = (),
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.cookies = cookies
        self._pieces = iter(pieces)
        self._on_close = on_close

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body, unpacked, as it arrives; raises ``TransportError``."""
        return self._pieces

    def close(self) -> None:
        """End the exchange: what has not been read is lost. May be called again."""
        self._on_close()


class Transport(Protocol):
    """Sends requests to one server; safe in many threads."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send, and return the answer as soon as its head is there.

        Redirects are answers like any other. Raises ``TransportError``, and what the body raises.
        """
        ...

    def end_within(self, seconds: float) -> None:
        """End what is under way within so many seconds, and all that comes later at once.

        Takes no lock: safe in a signal handler.
        """
        ...

    def close(self) -> None:
        """Close all connections; what is under way fails."""
        ...


class TransportError(Exception):
    """An exchange failed. ``reason`` and ``hint`` are fit to be shown.

    ``sent`` says that the server may have got the request, and so may have done what it says.
    """

    def __init__(self, reason: str, *, sent: bool, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.sent, self.hint = reason, sent, hint


class NotConnectedError(TransportError):
    """There is no connection: name, address, proxy, handshake."""


class NotTrustedError(TransportError):
    """One of both sides does not show the certificate that the other wants, or speaks no TLS."""


class ProxyLoginError(TransportError):
    """The proxy wants a password."""


class CutOffError(TransportError):
    """The connection ended in the middle."""


class OverdueError(TransportError):
    """It took too long, or moved too slowly."""


class DamagedAnswerError(TransportError):
    """What came is no HTTP, or cannot be unpacked, or is larger than any honest answer."""


class WrongSizeError(TransportError):
    """The body has another size than was announced."""


class UnusableAddressError(TransportError):
    """Address or header cannot be sent."""
