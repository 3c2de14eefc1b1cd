"""Host names with letters beyond ASCII (RFC 3490), which the libcurl of pycurl does not know."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit, urlunsplit

from paperfleet.storage.transport.exchange import UnusableAddressError

_OTHERWISE = set("ßς\u200c\u200d")
"""What IDNA 2003, which Python has, maps to another name than IDNA 2008 (RFC 5894, 7.2)."""


def ascii_url(url: str) -> bytes:
    """Return a URL with its host as the DNS knows it; raise ``UnusableAddressError``."""
    if url.isascii():
        return url.encode()
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port is not None else ""
    if not _OTHERWISE & set(host):
        with contextlib.suppress(UnicodeError):
            known = host.encode("idna").decode("ascii")
            return urlunsplit(parts._replace(netloc=known + port)).encode("ascii")
    raise UnusableAddressError(
        "the host name cannot be used",
        sent=False,
        hint="Write it as the DNS has it, beginning with xn--",
    )
