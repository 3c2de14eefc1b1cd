"""Who asks: user and password, the cookies of a session, and the pause after a refusal."""

from __future__ import annotations

import http.cookiejar
import re
import threading
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

FRESH = 5.0
"""Seconds for which an accepted login lets requests go at once."""

WAIT = 2.0
"""Seconds for which the others wait for one that asks and is a long upload."""

LONGEST_WAIT = 90.0
"""Seconds for which they wait for any other: Nextcloud lets a refused login wait for up to 25 s,
and a real one was seen to take 38 s for eight at once."""

_LOGIN_UNKNOWN = {401, 403, 407, 429}
_APP_PASSWORD = re.compile(r"[A-Za-z0-9]{5}(-[A-Za-z0-9]{5}){4}|[A-Za-z0-9]{72}")
"""What Nextcloud's settings make, and what its login flow and ``occ`` make."""


def is_app_password(password: Secret) -> bool:
    """Say whether this has the form of an app password of Nextcloud."""
    return _APP_PASSWORD.fullmatch(password.reveal()) is not None


class Login:
    """The credentials of one client; safe in many threads.

    Basic authentication (RFC 7617) goes with every request, so that none has to be sent twice. The
    cookies are kept in one jar, as a Nextcloud that sees its session cookie checks no password.

    When nothing was accepted of late, one request asks and the others wait for its answer: a
    password that was revoked is refused once, not once for each thread.
    """

    def __init__(self, username: str | None, password: Secret | None) -> None:
        self._auth = _basic(username, password)
        # Not httpx's own handling: it copies the jar for each request, which is unsafe in threads.
        self._cookies = httpx.Cookies()
        self._failed_at: float | None = None
        self._accepted_at = float("-inf")
        self._changed = threading.Condition()
        self._asking = self._asks_long = self._waited = False

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

    def begin(self, *, long: bool) -> bool:
        """Wait while another request asks; say whether this one is to ask, and call ``end``.

        ``long`` says that this one may take its time with what it brings or does.
        """
        if self._auth is None:
            return False
        began = time.monotonic()
        with self._changed:
            while self._asking and not self._waited and not self._settled():
                left = began + (WAIT if self._asks_long else LONGEST_WAIT) - time.monotonic()
                self._waited = left <= 0
                self._changed.wait(max(left, 0.0))
            if self._asking or self._settled():
                return False
            self._asking, self._asks_long = True, long
            return True

    def end(self, status: int | None) -> None:
        """Note how the request that asked was answered, None for not at all."""
        with self._changed:
            self._asking = self._waited = False
            self.answered(status)
            if status == httpx.codes.UNAUTHORIZED:
                self.fail()
            self._changed.notify_all()

    def answered(self, status: int | None) -> None:
        """Note the answer to any request with the login."""
        if status is not None and status < 500 and status not in _LOGIN_UNKNOWN:
            self._accepted_at = time.monotonic()

    def _settled(self) -> bool:
        return self.rests() or time.monotonic() - self._accepted_at < FRESH

    def rests(self) -> bool:
        """Say whether the credentials were refused a moment ago."""
        return self._failed_at is not None and time.monotonic() - self._failed_at < PAUSE


def refusing_jar() -> http.cookiejar.CookieJar:
    """Return a jar for httpx that keeps nothing, as ``Login`` keeps the cookies."""
    return http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))


def _basic(username: str | None, password: Secret | None) -> httpx.BasicAuth | None:
    if username is None:
        return None
    revealed = password.reveal() if password is not None else ""
    return httpx.BasicAuth(username.encode(), revealed.encode())
