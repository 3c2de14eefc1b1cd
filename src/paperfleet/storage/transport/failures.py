"""What an error of libcurl means (libcurl-errors(3)): one table."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

import pycurl

from paperfleet.storage.transport.exchange import (
    CERTIFICATE_HINT,
    CutOffError,
    DamagedAnswerError,
    NotConnectedError,
    NotTrustedError,
    OverdueError,
    ProxyLoginError,
    TransportError,
    UnusableAddressError,
)

_PROXY_WANTS_PASSWORD = 407
_CLIENT_CERTIFICATE = re.compile(r"certificate required|alert bad certificate", re.IGNORECASE)
_NO_TLS = re.compile(r"wrong version number|packet length too long|http request", re.IGNORECASE)
_ADDRESS = {pycurl.E_URL_MALFORMAT, pycurl.E_BAD_FUNCTION_ARGUMENT}
_PROBLEM = re.compile(r"^SSL certificate problem: |^SSL: |^server verification failed: ")
_DAMAGED = {pycurl.E_BAD_CONTENT_ENCODING, pycurl.E_UNSUPPORTED_PROTOCOL}
_LARGE = re.compile(r"too large|too many|exceeded", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EndedTransfer:
    """How libcurl ended an exchange.

    ``sent``: it had begun to send. ``tunnel``: a proxy's status to CONNECT. ``second``: it wanted
    to connect a second time. ``fresh_tls``: nothing had come since the handshake.
    """

    code: int
    message: str
    errno: int = 0
    tunnel: int = 0
    sent: bool = False
    second: bool = False
    fresh_tls: bool = False


def failure_of(ended: EndedTransfer) -> TransportError:
    """Return the error that it means; texts of libcurl are shown for certificates only."""
    code, sent = ended.code, ended.sent
    if ended.second:
        return CutOffError("the connection was cut", sent=True)
    if _CLIENT_CERTIFICATE.search(ended.message):
        reason = "the server wants a certificate of the client"
        return NotTrustedError(reason, sent=sent, hint=CERTIFICATE_HINT)
    if ended.fresh_tls and code in {pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR}:
        # TLS 1.3: the alert that says so may be lost with the reset that follows it.
        hint = "If it stays so: does the server want a certificate of the client?"
        return CutOffError("the connection was cut", sent=sent, hint=hint)
    if not sent:
        return _not_connected(ended)
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return OverdueError("no answer within the time allowed", sent=True)
    if code in _DAMAGED:
        reason = "the answer is damaged, or no HTTP"
        return DamagedAnswerError(reason, sent=True)
    if _LARGE.search(ended.message):
        return DamagedAnswerError("the head of the answer is too long", sent=True)
    return CutOffError("the connection was cut", sent=True)


def _not_connected(ended: EndedTransfer) -> TransportError:
    code = ended.code
    if ended.tunnel == _PROXY_WANTS_PASSWORD:
        hint = "Set it in HTTPS_PROXY"
        return ProxyLoginError("the proxy wants a password", sent=False, hint=hint)
    if ended.tunnel >= 300:
        reason = f"the proxy lets nothing through (HTTP {ended.tunnel})"
        return NotConnectedError(reason, sent=False, hint="See HTTPS_PROXY and NO_PROXY")
    if code in {pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE}:
        why = _PROBLEM.sub("", ended.message) or "unknown reason"
        hint = "Name the file of your certificate authority, or correct the host name"
        reason = f"the server's certificate is not trusted: {why}"
        return NotTrustedError(reason, sent=False, hint=hint)
    if code == pycurl.E_SSL_CONNECT_ERROR and _NO_TLS.search(ended.message):
        reason = "the server does not speak TLS there"
        return NotTrustedError(reason, sent=False, hint="Check scheme and port")
    if code == pycurl.E_COULDNT_RESOLVE_HOST:
        reason = "the host name cannot be resolved"
        return NotConnectedError(reason, sent=False, hint="Check its spelling and DNS")
    if code == pycurl.E_COULDNT_RESOLVE_PROXY:
        reason = "the host name of the proxy cannot be resolved"
        return NotConnectedError(reason, sent=False, hint="Check HTTPS_PROXY and DNS")
    if code in _ADDRESS:
        return UnusableAddressError("the address cannot be used", sent=False)
    if code == pycurl.E_OPERATION_TIMEDOUT:
        reason = "no connection within the time allowed"
    elif ended.errno == errno.ECONNREFUSED:
        reason = "nothing listens at this address"
    else:
        reason = "no connection"
    hint = "Check host and port, and whether the server runs"
    return NotConnectedError(reason, sent=False, hint=hint)
