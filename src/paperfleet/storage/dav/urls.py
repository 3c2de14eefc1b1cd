"""Addresses: which URL is a storage, and how names become paths in it and back. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from paperfleet.errors import ConfigurationError, NameRefusedError, NotAStorageError
from paperfleet.storage.addresses import DEFAULT_PORTS, is_loopback, origin_of
from paperfleet.storage.names import check_name, is_utf8

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class DavRoot:
    """The folder of a server that a storage lives in.

    ``origin`` is scheme, host and port (``https://cloud.example``, no closing slash); ``path`` the
    percent-encoded path of the folder with a slash at both ends.
    """

    origin: str
    path: str

    @property
    def url(self) -> str:
        """The address of the folder, without user or password."""
        return self.origin + self.path

    def path_of(self, name: str, *, folder: bool = False) -> str:
        """Return the encoded path of a name; '' is the root. Folders end with a slash.

        Raises ``NameRefusedError`` for a name that is not UTF-8 text: servers reinterpret such
        bytes silently, as another name.
        """
        if not name:
            return self.path
        return self.path + encode(name) + ("/" if folder else "")

    def name_of(self, href: str) -> str:
        """Return the name that a server calls ``href`` (RFC 4918, 8.3); the root gives ''.

        Takes absolute URLs and absolute paths in any percent-encoding; bytes that are not UTF-8
        become lone surrogates. ``?`` and ``#`` belong to the name: servers that leave them
        unencoded are common, those that add a query are not. A path that begins with several
        slashes is still a path when it lies in the root. The host is not compared, as proxies
        change it. Raises ``NotAStorageError`` for an address outside the root.
        """
        path = self._path_of_href(href.strip())
        if path.startswith(self.path):
            name = "/".join(_segments(path[len(self.path) :]))
        else:
            name = self._otherwise_written(path, href)
        if name:
            self._check(name, path, href)
        return name

    def _path_of_href(self, href: str) -> str:
        if href.startswith("/") and not href.startswith("//"):
            return href
        scheme, separator, rest = href.partition("//")
        if scheme and not _SCHEME.fullmatch(scheme):
            return href
        if separator and not scheme and not self._is_origin(rest.partition("/")[0]):
            segments, above = _segments(rest), _segments(self.path)
            if segments[: len(above)] == above:
                return f"/{rest}"
        return "/" + rest.partition("/")[2] if separator else href

    def _is_origin(self, authority: str) -> bool:
        return authority == self.origin.partition("//")[2]

    def _otherwise_written(self, path: str, href: str) -> str:
        segments, above = _segments(path), _segments(self.path)
        if segments[: len(above)] != above:
            raise self._foreign(href)
        return "/".join(segments[len(above) :])

    def _check(self, name: str, path: str, href: str) -> None:
        try:
            check_name(name)
        except ValueError as error:
            raise self._foreign(href) from error
        if "%2f" in path.lower():
            raise self._foreign(href)

    def parent(self) -> DavRoot | None:
        """Return the folder above, None at the top of the server."""
        above = self.path.rstrip("/").rpartition("/")[0]
        return DavRoot(self.origin, above + "/") if self.path != "/" else None

    def _foreign(self, href: str) -> NotAStorageError:
        return NotAStorageError(
            f"the server listed {href[:200]!r}, which is not below {self.path}",
            storage=self.url,
            hint="Is a proxy changing the path? Use the address that the server itself knows",
        )


def _segments(path: str) -> list[str]:
    folder, _, last = path.rpartition("/")
    above = _decoded(folder) if folder else ()
    return [*above, decode(last)] if last else [*above]


@lru_cache(maxsize=256)
def _decoded(folder: str) -> tuple[str, ...]:
    return tuple(decode(part) for part in folder.split("/") if part)


@lru_cache(maxsize=1024)
def encode(name: str) -> str:
    """Percent-encode a name by segments; only RFC 3986's unreserved characters stay.

    Raises ``NameRefusedError`` unless the name is UTF-8 text.
    """
    if not is_utf8(name):
        raise NameRefusedError(
            "the name is not valid UTF-8",
            name=name,
            hint="Rename the file at the source; convmv can do that for many",
        )
    folder, slash, last = name.rpartition("/")
    return _encoded(folder) + slash + quote(last, safe="")


@lru_cache(maxsize=256)
def _encoded(folder: str) -> str:
    return "/".join(quote(segment, safe="") for segment in folder.split("/"))


def decode(segment: str) -> str:
    """Undo percent-encoding; bytes that are not UTF-8 become lone surrogates."""
    if "%" not in segment:
        return segment
    if segment.isascii():
        return unquote_to_bytes(segment).decode(errors="surrogateescape")
    return unquote(segment, errors="surrogateescape")


def parse_root(url: str, *, allow_plain_http: bool = False) -> DavRoot:
    """Return the root that a URL names.

    Raises ``ConfigurationError`` for anything but http and https, for a user or password inside
    the URL, and for plain http to a host other than loopback unless that is allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError("the WebDAV address is not a URL", hint=str(error)) from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ConfigurationError(
            "the WebDAV address must begin with https:// and a host name",
            hint="Such as https://cloud.example/remote.php/dav/files/USER/Folder",
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "the WebDAV address holds a user name or password",
            hint="Give them as settings of their own, so that no log ever shows them",
        )
    if parts.scheme == "http" and not (allow_plain_http or is_loopback(parts.hostname)):
        raise ConfigurationError(
            f"plain http to {parts.hostname} would send the password unencrypted",
            hint="Use https://, or set allow_plain_http (--allow-plain-http)",
        )
    return DavRoot(origin_of(parts.scheme, parts.hostname, port), _folder_path(parts.path))


def _folder_path(path: str) -> str:
    segments = [unquote(part, errors="surrogateescape") for part in path.split("/") if part]
    if any(segment in {".", ".."} for segment in segments):
        raise ConfigurationError("the path of the WebDAV address has a segment '.' or '..'")
    return "".join("/" + encode(segment) for segment in segments) + "/"
