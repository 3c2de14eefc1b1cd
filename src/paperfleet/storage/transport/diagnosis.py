"""Whether a server can be reached: its name, its certificate, its clock. Sends no login."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from paperfleet.diagnosis import Check, not_tried, ok, problem, warning
from paperfleet.storage.addresses import DEFAULT_PORTS, is_loopback
from paperfleet.storage.transport.curl import CurlTransport
from paperfleet.storage.transport.exchange import (
    HttpRequest,
    NotTrustedError,
    ProxyLoginError,
    TransportError,
)
from paperfleet.storage.transport.surroundings import Trust, proxy_of, trust_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.diagnosis import CheckResult

NAME, CONNECTION, CERTIFICATE, CLOCK = "name of the host", "connection", "certificate", "clock"
OFF, FAR_OFF = 30.0, 300.0
"""Seconds between two clocks that are worth a word, and with which nothing is right any more."""
LAST_DAYS = 14
"""Days before a certificate ends in which it should have been renewed."""
_CONNECT_SECONDS = 10.0


class HttpAddress(NamedTuple):
    """Where a server is, and whom to believe there; ``path`` is percent-encoded.

    ``verify`` and ``certificate`` are those of ``trust_of``.
    """

    origin: str
    path: str = "/"
    verify: bool | str | bytes = True
    certificate: str | None = None


class AddressChecks:
    """The checks of one address."""

    def __init__(self, address: HttpAddress) -> None:
        self._address = address
        parts = urlsplit(address.origin)
        self._scheme, self._host = parts.scheme, parts.hostname or ""
        self._port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
        self._headers: Mapping[str, str] = {}
        self._offset: float | None = None

    def checks(self) -> list[Check]:
        """Return them; who talks to the server needs ``CONNECTION``."""
        return [
            Check(NAME, self.name),
            Check(CONNECTION, self.connection, needs=(NAME,), seconds=30),
            Check(CERTIFICATE, self.certificate, needs=(CONNECTION,)),
            Check(CLOCK, self.clock, needs=(CONNECTION,)),
        ]

    def name(self) -> Iterator[CheckResult]:
        """Look the host up (DNS, ``/etc/hosts``), unless a proxy does."""
        try:
            proxy = proxy_of(self._address.origin)
        except ValueError as error:
            yield problem(str(error), "See HTTPS_PROXY and NO_PROXY")
            return
        if proxy:
            yield ok("a proxy of the environment is asked, which looks it up (HTTPS_PROXY)")
            return
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no name"
            yield problem(
                f"{self._host!r} cannot be resolved: {reason}",
                "Check its spelling, and DNS; in a container its own DNS",
            )
            return
        count = len({entry[4][0] for entry in found})
        yield ok(f"it has {count} address{'' if count == 1 else 'es'}")

    def connection(self) -> Iterator[CheckResult]:
        """Send one request as nobody; any answer will do."""
        address = self._address
        try:
            transport = CurlTransport(
                address.origin,
                verify=address.verify,
                certificate=address.certificate,
                timeout=_CONNECT_SECONDS,
            )
        except OSError as error:
            yield problem(
                f"a file with certificates cannot be used: {error.strerror or 'it is no PEM'}",
                "Check ca_file and client_certificate, and that this user may read them",
            )
            return
        with contextlib.closing(transport):
            began = time.time()
            try:
                response = transport.send(
                    HttpRequest("HEAD", address.origin + address.path, {"User-Agent": "paperfleet"})
                )
            except TransportError as error:
                yield problem(_kind_of(error) + error.reason, error.hint)
                return
            ended = time.time()
            response.close()
        self._headers = response.headers
        self._offset = _offset(response.headers, began, ended)
        yield ok(f"the server answers, within {ended - began:.1f} s")
        if self._scheme == "http" and not is_loopback(self._host):
            yield warning(
                "http:// is not encrypted: anybody between can read the password",
                "Use https://, or a network that nobody else has",
            )

    def certificate(self) -> Iterator[CheckResult]:
        """Look until when the certificate is good; libcurl has judged it before."""
        if self._scheme != "https":
            yield not_tried("the address is http://, which has none")
            return
        if proxy_of(self._address.origin):
            yield not_tried("a proxy is between; the certificate was accepted through it")
            return
        ends = self._ends()
        if ends is None:
            yield not_tried("it was accepted; until when it is good could not be read")
            return
        days = (ends - dt.datetime.now(dt.UTC)).days
        text = f"it is trusted, and good until {ends:%Y-%m-%d}"
        if days < LAST_DAYS:
            yield warning(f"{text}: {days} days", "Renew it, or see why nothing renews it")
        else:
            yield ok(text)

    def clock(self) -> Iterator[CheckResult]:
        """Compare this machine's clock with the header ``Date`` (RFC 9110, 6.6.1)."""
        if self._offset is None:
            yield not_tried("the server tells no time (no header Date)")
            return
        text = f"this machine's clock is {_off(self._offset)} the server's"
        remedy = "Let both have the right time (NTP): timedatectl on this machine"
        if abs(self._offset) >= FAR_OFF:
            yield problem(text, remedy)
        elif abs(self._offset) >= OFF:
            yield warning(text, remedy)
        else:
            yield ok("it is that of the server, as far as a second tells")

    def _ends(self) -> dt.datetime | None:
        """Return until when the server's certificate is good, None where that cannot be read."""
        try:
            context = _context(trust_of(self._address.verify, self._address.certificate))
            where = (self._host, self._port)
            with (
                socket.create_connection(where, _CONNECT_SECONDS) as line,
                context.wrap_socket(line, server_hostname=self._host) as tls,
            ):
                shown = tls.getpeercert() or {}
            return dt.datetime.fromtimestamp(
                ssl.cert_time_to_seconds(str(shown["notAfter"])), dt.UTC
            )
        except (OSError, ValueError, KeyError):
            return None


def _context(trust: Trust) -> ssl.SSLContext:
    """Return what believes the same as libcurl does."""
    context = ssl.create_default_context(
        cafile=trust.file,
        capath=trust.folder,
        cadata=trust.pem.decode("ascii") if trust.pem else None,
    )
    if trust.certificate:
        context.load_cert_chain(trust.certificate)
    return context


def _kind_of(error: TransportError) -> str:
    if isinstance(error, NotTrustedError):
        return "TLS: "
    return "proxy: " if isinstance(error, ProxyLoginError) else ""


def _offset(headers: Mapping[str, str], began: float, ended: float) -> float | None:
    """Return by how many seconds our clock is ahead; 0 where the answer leaves room for it."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
    # The header has whole seconds, cut off.
    if began - 1 <= theirs <= ended:
        return 0.0
    return began - 1 - theirs if theirs < began else ended - theirs


def _off(seconds: float) -> str:
    amount = abs(seconds)
    minutes = round(amount / 60)
    shown = f"{amount:.0f} s" if amount < 120 else f"{minutes} min"
    return f"{shown} {'ahead of' if seconds > 0 else 'behind'}"
