"""Which backend an address means, and with which options. Pure."""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from paperfleet.errors import ConfigurationError
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_STORAGE = "paperfleet.storage"
LOCAL = f"{_STORAGE}.local.backend.LocalBackend"
MEMORY = f"{_STORAGE}.memory.backend.MemoryBackend"
WEBDAV = f"{_STORAGE}.dav.webdav.WebDavBackend"
NEXTCLOUD = f"{_STORAGE}.nextcloud.backend.NextcloudBackend"
S3 = f"{_STORAGE}.bucket.backends.S3CompatibleBackend"
GOOGLE = f"{_STORAGE}.bucket.backends.GoogleCloudBackend"
AZURE = f"{_STORAGE}.bucket.backends.AzureBackend"
FSSPEC = f"{_STORAGE}.fsspec_backend.FsspecBackend"

_FSSPEC = "fsspec+"
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_NEXTCLOUD_PATH = re.compile(r"/remote\.php/(?:dav/files/(?P<user>[^/]+)|webdav)(?:/|$)")
"""Where Nextcloud serves files (Nextcloud developer manual, WebDAV; the short form is the old)."""


DEFAULT_PORTS = {"http": 80, "https": 443}


class Meant(NamedTuple):
    """A backend's class or factory by its dotted path, and what the address says for it."""

    backend: str
    options: dict[str, object]


def meaning_of(spec: str) -> Meant:
    """Return what a spec means: a URL, a dotted path, or the path of a folder.

    ``file:///srv/archive`` · ``/srv/archive`` · ``./archive`` · ``memory:`` ·
    ``webdav://host/path``, ``webdavs://…`` · ``nextcloud://user@host/Folder``, ``nextclouds://…`` ·
    ``s3://bucket/prefix?endpoint_url=…``, ``gs://bucket/prefix``, ``az://container/prefix`` ·
    ``sftp://user@host/path``, ``smb://…``, ``fsspec+KIND://…`` for any other kind of fsspec ·
    ``https://…``, which is a Nextcloud below ``/remote.php/dav/files/`` or ``/remote.php/webdav`` ·
    ``package.module.Class``. A query gives further options. Raises ``ConfigurationError``.
    """
    if not spec:
        raise ConfigurationError("no storage is named", hint="Give a URL or a folder")
    if _DOTTED.fullmatch(spec):
        return Meant(spec, {})
    scheme = _SCHEME.match(spec)
    if not scheme:
        return Meant(LOCAL, {"root": spec})
    kind = scheme[1].lower()
    if kind.startswith(_FSSPEC):
        return _fsspec(_split(spec, kind))
    if kind not in SCHEMES:
        raise ConfigurationError(
            f"there is no kind of storage {kind!r}",
            hint=nearest(kind, SCHEMES) + "; a folder of this name is written with ./ before it",
        )
    return SCHEMES[kind](_split(spec, kind))


def origin_of(scheme: str, host: str, port: int | None) -> str:
    """Return scheme, host and port of an http or https URL, without the port that is its own."""
    shown = f"[{host}]" if ":" in host else host
    standard = port is None or port == DEFAULT_PORTS[scheme]
    return f"{scheme}://{shown}" if standard else f"{scheme}://{shown}:{port}"


def is_loopback(host: str) -> bool:
    """Say whether a host name or address means this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def redacted(spec: str) -> str:
    """Return a spec without password and query, fit for a log line."""
    head, slashes, rest = spec.partition("://")
    if not slashes:
        return spec
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    name = user.partition(":")[0]
    return f"{head}://{name}{at}{host}{slash}{path.partition('?')[0]}"


def nearest(word: str, words: Iterable[str]) -> str:
    """Return a hint that names the word that was likely meant, else all of them."""
    known = sorted(words)
    close = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known) or 'none'}"


def _split(spec: str, kind: str) -> SplitResult:
    try:
        parts = urlsplit(spec)
        _ = parts.port
    except ValueError:
        # Without the cause: its text holds parts of the address, which may hold a password.
        raise ConfigurationError(f"the {kind} address is not a URL") from None
    if parts.fragment or spec.endswith("#"):
        raise ConfigurationError(
            f"the {kind} address has a '#', which would cut it off there",
            hint="Write %23 for a '#' in a name or password",
        )
    return parts


def _query(parts: SplitResult) -> dict[str, object]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        pairs = []
    if bool(parts.query) != bool(pairs) or len(dict(pairs)) != len(pairs):
        raise ConfigurationError(
            f"the query of the {parts.scheme} address is not of the form name=value&name=value",
            hint="Write %3F for a '?' in a name",
        )
    return dict(pairs)


def _local(parts: SplitResult) -> Meant:
    if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise ConfigurationError(
            "a file address names a folder of this machine by its absolute path",
            hint="Such as file:///srv/archive",
        )
    root = unquote(parts.path, errors="surrogateescape")
    return Meant(LOCAL, {"root": root, **_query(parts)})


def _memory(parts: SplitResult) -> Meant:
    if parts.netloc or parts.path:
        raise ConfigurationError("a memory storage has no address", hint="Write memory:")
    return Meant(MEMORY, _query(parts))


def _http(scheme: str) -> Callable[[SplitResult], Meant]:
    """Return the reading of a WebDAV address as one with the scheme http or https."""

    def read(parts: SplitResult) -> Meant:
        user, options = _credentials(parts)
        nextcloud = _NEXTCLOUD_PATH.search(parts.path)
        if nextcloud and not user and nextcloud["user"]:
            user = unquote(nextcloud["user"])
        if user:
            options["username"] = user
        options["url"] = f"{scheme}://{_host(parts)}{parts.path}"
        return Meant(NEXTCLOUD if nextcloud else WEBDAV, options)

    return read


def _nextcloud(scheme: str) -> Callable[[SplitResult], Meant]:
    """Return the reading of ``nextclouds://user@host/Folder``."""

    def read(parts: SplitResult) -> Meant:
        if _NEXTCLOUD_PATH.search(parts.path):
            return _http(scheme)(parts)
        user, options = _credentials(parts)
        if not user:
            raise ConfigurationError(
                "the Nextcloud address names no user", hint="Such as nextclouds://user@host/Folder"
            )
        options["username"] = user
        path = f"/remote.php/dav/files/{quote(user, safe='')}{parts.path}"
        options["url"] = f"{scheme}://{_host(parts)}{path}"
        return Meant(NEXTCLOUD, options)

    return read


def _bucket(backend: str) -> Callable[[SplitResult], Meant]:
    """Return the reading of ``s3://bucket/prefix`` and its like."""

    def read(parts: SplitResult) -> Meant:
        options = _query(parts)
        if not parts.hostname or parts.netloc != parts.netloc.rpartition("@")[2]:
            raise ConfigurationError(
                f"the {parts.scheme} address is not of the form {parts.scheme}://bucket/prefix",
                hint="Keys go into access_key and secret_key, or into the environment",
            )
        location = unquote(parts.path).strip("/")
        if location and ("location" in options or "prefix" in options):
            raise ConfigurationError(f"the {parts.scheme} address names two prefixes")
        named = {"location": location} if location else {}
        return Meant(backend, {"bucket_name": parts.netloc, **named, **options})

    return read


def _fsspec(parts: SplitResult) -> Meant:
    """Return the reading of an address of fsspec; a password goes into the options."""
    options = _query(parts)
    if parts.password:
        options["password"] = Secret(unquote(parts.password))
        options["username"] = unquote(parts.username or "")
    user = f"{parts.username}@" if parts.username and not parts.password else ""
    kind = parts.scheme.removeprefix(_FSSPEC)
    return Meant(FSSPEC, {"url": f"{kind}://{user}{_host(parts)}{unquote(parts.path)}", **options})


def _credentials(parts: SplitResult) -> tuple[str, dict[str, object]]:
    """Return the user of the address, and the options with the password taken out of it."""
    options = _query(parts)
    if not parts.hostname:
        raise ConfigurationError(
            f"the {parts.scheme} address has no host", hint=f"Such as {parts.scheme}://host/path"
        )
    if parts.password:
        options["password"] = Secret(unquote(parts.password))
    return unquote(parts.username or ""), options


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


SCHEMES: dict[str, Callable[[SplitResult], Meant]] = {
    "file": _local,
    "memory": _memory,
    "http": _http("http"),
    "https": _http("https"),
    "webdav": _http("http"),
    "webdavs": _http("https"),
    "s3": _bucket(S3),
    "gs": _bucket(GOOGLE),
    "az": _bucket(AZURE),
    "sftp": _fsspec,
    "smb": _fsspec,
    "nextcloud": _nextcloud("http"),
    "nextclouds": _nextcloud("https"),
}
