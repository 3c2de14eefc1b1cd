"""Bare requests of the HTTP client that the package has, with nothing around them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

from paperfleet.storage.transport.curl import CurlTransport
from paperfleet.storage.transport.exchange import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


class BareClient:
    """Asks one server; safe in many threads."""

    def __init__(self, url: str, user: str, password: str, connections: int = 8) -> None:
        parts = urlsplit(url)
        self._url = url
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}
        self._transport = CurlTransport(
            f"{parts.scheme}://{parts.netloc}", connections=connections, timeout=120
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._transport.close()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
        """Send a request, read its answer, return the status; raise for an error of the server."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self._transport.send(self._request(method, path, body, named))
        for _ in response.iter_bytes():
            pass
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: HTTP {response.status}")
        return response.status

    def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> HttpRequest:
        given = None if body is None else lambda: body
        return HttpRequest(method, self._url + quote(path), {**self._headers, **headers}, given)
