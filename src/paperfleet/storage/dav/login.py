"""Who asks: user and password, the cookies of a session, and the pause after a refusal."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Literal

import httpx

if TYPE_CHECKING:
    from paperfleet.secret import Secret

Identity = Literal["session", "password", "none"]
"""The user with the cookies of the session, with the password alone, or nobody."""

PAUSE = 10.0
"""Seconds without any request after a 401, so that threads in flight don't fail one by one.

Nextcloud counts failed logins per address and throttles, from the 12th also the right password.
"""


_APP_PASSWORD = re.compile(r"[A-Za-z0-9]{5}(-[A-Za-z0-9]{5}){4}|[A-Za-z0-9]{72}")
"""What Nextcloud's settings make, and what its login flow and ``occ`` make."""


def is_app_password(password: Secret) -> bool:
    """Say whether this has the form of an app password of Nextcloud."""
    return _APP_PASSWORD.fullmatch(password.reveal()) is not None


class Login:
    """The credentials of one client; safe in many threads.

    Basic authentication (RFC 7617) goes with every request, so that none has to be sent twice. The
    cookies are kept in one jar, as a Nextcloud that sees its session cookie checks no password.
    """

    def __init__(self, username: str | None, password: Secret | None) -> None:
        self._auth = _basic(username, password)
        # Not httpx's own handling: it copies the jar for each request, which is unsafe in threads.
        self._cookies = httpx.Cookies()
        self._failed_at: float | None = None

    def auth(self, identity: Identity) -> httpx.Auth | None:
        """Return what httpx adds to a request."""
        return None if identity == "none" else self._auth

    def add_cookies(self, request: httpx.Request, identity: Identity) -> None:
        """Put the session's cookies into a request."""
        if identity == "session":
            self._cookies.set_cookie_header(request)

    def take_cookies(self, response: httpx.Response, identity: Identity) -> None:
        """Keep the cookies of an answer."""
        if identity == "session":
            self._cookies.extract_cookies(response)

    def fail(self) -> None:
        """Note that the server did not accept the credentials."""
        self._failed_at = time.monotonic()

    def rests(self) -> bool:
        """Say whether the credentials were refused a moment ago."""
        return self._failed_at is not None and time.monotonic() - self._failed_at < PAUSE


def _basic(username: str | None, password: Secret | None) -> httpx.BasicAuth | None:
    if username is None:
        return None
    revealed = password.reveal() if password is not None else ""
    return httpx.BasicAuth(username.encode(), revealed.encode())
