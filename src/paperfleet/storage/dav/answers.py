"""What the status of an answer means: one table from HTTP to the errors of this package. Pure."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lxml import etree

from paperfleet.errors import (
    AlreadyExistsError,
    BusyError,
    CredentialsError,
    FileAccessError,
    IntegrityError,
    LockedError,
    MaintenanceError,
    NameRefusedError,
    NotAStorageError,
    NotFoundError,
    PreconditionFailedError,
    QuotaExceededError,
    StorageError,
    ThrottledError,
    TooLargeError,
    UnavailableError,
)
from paperfleet.storage.dav.values import MOST_DIGITS, seconds_of
from paperfleet.storage.transport.exchange import CERTIFICATE_HINT

if TYPE_CHECKING:
    from collections.abc import Mapping

SABRE = "{http://sabredav.org/ns}"
MOST_TEXT = 300
"""Characters of a server's message that an error repeats."""

_LOGIN_HINT = "Check user and password; a revoked app password has to be made anew"
_CERTIFICATE = re.compile(rb"SSL certificate (was sent|error)", re.IGNORECASE)
"""What nginx says in 400 where ``ssl_verify_client`` is on."""

_SCHEMES = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9-]*)(?=\s+[^=\s]|\s*$|\s*,)")
"""The schemes of ``WWW-Authenticate`` (RFC 9110, 11.6.1); a parameter is followed by ``=``."""

_READING = {"PROPFIND", "OPTIONS", "GET", "HEAD"}
_PERHAPS_AT_WORK = {409, 429, 500, 503}
_AT_WORK = re.compile(r"\b(is|still|being|in|under)( still)? process(ing|ed)\b", re.IGNORECASE)
_BY_METHOD: dict[tuple[int, str], tuple[type[StorageError], str, str]] = {
    (507, "MOVE"): (
        QuotaExceededError,
        "the server has less space free than the file is large",
        "Free space: some servers, as Nextcloud, want room for a file even to rename it",
    ),
}
_BY_STATUS: dict[int, tuple[type[StorageError], str, str]] = {
    402: (QuotaExceededError, "the server wants payment", ""),
    403: (FileAccessError, "the server forbids it", ""),
    404: (NotFoundError, "there is no such file", ""),
    407: (CredentialsError, "the proxy wants a password", "Set it in HTTPS_PROXY"),
    408: (UnavailableError, "the server waited too long for the request", ""),
    409: (NotFoundError, "a folder above it is missing", ""),
    410: (NotFoundError, "there is no such file", ""),
    412: (PreconditionFailedError, "it is not in the state that was expected", ""),
    413: (TooLargeError, "the server does not take a body of this size", "Raise its upload limit"),
    414: (NameRefusedError, "the name is too long for the server", ""),
    415: (NameRefusedError, "the server does not take this kind of file", ""),
    416: (IntegrityError, "the file is shorter than the server said", ""),
    423: (LockedError, "the file is locked", "Nextcloud frees a forgotten lock within an hour"),
    425: (UnavailableError, "the server says that it is too early", ""),
    429: (ThrottledError, "the server asks for fewer requests", ""),
    501: (NotAStorageError, "the server cannot do this", "Is this the WebDAV address?"),
    507: (QuotaExceededError, "the storage is full", "Free space, or raise the quota"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read whole; ``headers`` have lower-case keys."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_done(self) -> bool:
        """Say whether the server did what was asked."""
        return 200 <= self.status < 300

    @property
    def is_html(self) -> bool:
        """Say whether this is a page for people: a login form, a proxy's error."""
        return "html" in self.headers.get("content-type", "")

    @property
    def says(self) -> tuple[str, str]:
        """The exception and the message that sabre/dav puts into an error, '' where none is."""
        try:
            tree = etree.fromstring(self.body, parser=safe_parser()) if self.body else None
        except etree.XMLSyntaxError:
            return "", ""
        if tree is None:
            return "", ""
        return (
            _clean(tree.findtext(f".//{SABRE}exception")),
            _clean(tree.findtext(f".//{SABRE}message")),
        )


def safe_parser() -> etree.XMLParser:
    """Return a parser that resolves nothing, loads nothing and keeps libxml2's size limits."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )


def error_of(
    answer: Answer,
    *,
    method: str,
    operation: str = "",
    name: str = "",
    storage: str = "",
) -> StorageError:
    """Return the error that an unwelcome answer means. Never raises; shows no request header."""
    exception, message = answer.says
    kind, reason, hint = _meaning(answer, method, exception, message, named=bool(name))
    return kind(
        f"{reason} ({_told(answer, message)})",
        operation=operation,
        name=name,
        storage=storage,
        hint=hint,
        retry_after=retry_after(answer.headers),
    )


def _told(answer: Answer, message: str) -> str:
    return f"HTTP {answer.status}: {message}" if message else f"HTTP {answer.status}"


def _meaning(
    answer: Answer, method: str, exception: str, message: str, *, named: bool
) -> tuple[type[StorageError], str, str]:
    status = answer.status
    if status == 401:
        return _not_logged_in(answer)
    if status == 400:
        return _bad_request(answer, named=named)
    if status == 405:
        return _not_allowed(method)
    if named and _is_at_work(answer, message):
        return BusyError, "the server is still at work on this file", ""
    if status == 503:
        return _out_of_service(answer, exception, message)
    if status >= 500 and "LockedException" in exception:
        return _BY_STATUS[423]
    if (status, method) in _BY_METHOD or status in _BY_STATUS:
        return _BY_METHOD.get((status, method)) or _BY_STATUS[status]
    if status >= 500:
        return UnavailableError, "the server failed", ""
    if status < 400:
        hint = "This looks like a web page, not a WebDAV folder" if answer.is_html else ""
        return NotAStorageError, f"{method} was answered in an unexpected way", hint
    return StorageError, "the server refused", ""


def _not_logged_in(answer: Answer) -> tuple[type[StorageError], str, str]:
    offered = answer.headers.get("www-authenticate", "")
    schemes = sorted({scheme.title() for scheme in _SCHEMES.findall(offered)})
    if not schemes or "Basic" in schemes:
        return CredentialsError, "the server does not accept user and password", _LOGIN_HINT
    return (
        CredentialsError,
        f"the server takes a login by {' or '.join(schemes)} only, not by Basic",
        "Let it offer Basic authentication for this folder, over https (Apache: AuthType Basic)",
    )


def _is_at_work(answer: Answer, message: str) -> bool:
    """Say whether a server speaks of its work after an upload (ownCloud Infinite Scale: 425)."""
    if answer.status == 425:
        return True
    text = message or answer.body[:MOST_TEXT].decode("utf-8", "replace")
    return answer.status in _PERHAPS_AT_WORK and _AT_WORK.search(text) is not None


def _bad_request(answer: Answer, *, named: bool) -> tuple[type[StorageError], str, str]:
    if answer.is_html and b"trusted" in answer.body:
        return (
            NotAStorageError,
            "the server does not answer at this host name",
            "Nextcloud: add the host to trusted_domains in config.php",
        )
    if _CERTIFICATE.search(answer.body):
        return NotAStorageError, "the server wants a certificate of the client", CERTIFICATE_HINT
    if named:
        return NameRefusedError, "the server does not take this name", "Rename it at the source"
    return NotAStorageError, "the server does not understand the request", ""


def _not_allowed(method: str) -> tuple[type[StorageError], str, str]:
    if method == "MKCOL":
        return AlreadyExistsError, "there is something of this name already", ""
    if method in _READING:
        return NotAStorageError, "there is no WebDAV at this address", "Check the address"
    return FileAccessError, "the server does not allow this here", ""


def _out_of_service(
    answer: Answer, exception: str, message: str
) -> tuple[type[StorageError], str, str]:
    if "x-nextcloud-maintenance-mode" in answer.headers or "Maintenance" in exception:
        return MaintenanceError, "the server is in maintenance mode", ""
    if "disabled" in message:
        return CredentialsError, "the account is disabled", "Ask the administrator to enable it"
    if "maintenance" in message:
        return MaintenanceError, "the server is in maintenance mode", ""
    return UnavailableError, "the server is not available now", ""


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3), None without one."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:MOST_DIGITS])
    until = seconds_of(text)
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def _clean(text: str | None) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text or "")
    return re.sub(r"\s+", " ", printable).strip()[:MOST_TEXT]
