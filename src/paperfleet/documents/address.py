"""The address of a paperless-ngx. Pure."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from paperfleet.errors import ConfigurationError
from paperfleet.storage.addresses import DEFAULT_PORTS, is_loopback, origin_of


class ServerAddress(NamedTuple):
    """``origin`` is scheme, host and port; ``path`` what paperless-ngx lies below, without '/'."""

    origin: str
    path: str

    @property
    def url(self) -> str:
        """The address for people; it has no secret."""
        return self.origin + self.path


def server_address(url: str, *, allow_plain_http: bool = False) -> ServerAddress:
    """Return what a URL names, which may end in ``/api``; raise ``ConfigurationError``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError("the address of paperless-ngx is not a URL") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(
            "the address of paperless-ngx is not of the form https://host",
            hint="Give the address at which a browser opens it",
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "the address of paperless-ngx holds a user name or password",
            hint="Take it out, and set PAPERFLEET_PAPERLESS_TOKEN or its _FILE",
        )
    if parts.scheme == "http" and not (allow_plain_http or is_loopback(parts.hostname)):
        raise ConfigurationError(
            f"plain http to {parts.hostname} would send the token unencrypted",
            hint="Use https://, or set allow_plain_http (--allow-plain-http)",
        )
    origin = origin_of(parts.scheme, parts.hostname, port)
    return ServerAddress(origin, parts.path.rstrip("/").removesuffix("/api"))
