"""Who asks: user and password, the cookies of a session, and the pause after a refusal."""

from __future__ import annotations

import base64
import email.message
import http.cookiejar
import re
import threading
import time
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.secret import Secret
    from paperfleet.storage.transport.exchange import HttpResponse

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
        self._cookies = http.cookiejar.CookieJar()
        self._failed_at: float | None = None
        self._accepted_at = float("-inf")
        self._changed = threading.Condition()
        self._asking = self._asks_long = self._waited = False

    @property
    def given(self) -> bool:
        """Whether there is a user to log in with."""
        return self._auth is not None

    def headers(self, url: str, identity: Identity) -> dict[str, str]:
        """Return the headers that say who asks."""
        if identity == "none":
            return {}
        found = {} if self._auth is None else {"Authorization": self._auth}
        if identity == "session" and (cookies := self._cookies_for(url)):
            found["Cookie"] = cookies
        return found

    def take_cookies(self, url: str, response: HttpResponse, identity: Identity) -> None:
        """Keep the cookies of an answer."""
        if identity == "session" and response.cookies:
            answer = _WithHeaders(response.cookies)
            request = urllib.request.Request(url)  # noqa: S310  # nothing is opened
            self._cookies.extract_cookies(answer, request)  # type: ignore[arg-type]  # it asks for info() alone

    def _cookies_for(self, url: str) -> str | None:
        if not len(self._cookies):
            return None
        request = urllib.request.Request(url)  # noqa: S310  # nothing is opened
        self._cookies.add_cookie_header(request)
        return request.get_header("Cookie")

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
            if status == HTTPStatus.UNAUTHORIZED:
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


class _WithHeaders:
    """What ``CookieJar`` wants of an answer."""

    def __init__(self, cookies: Sequence[str]) -> None:
        self._headers = email.message.Message()
        for value in cookies:
            self._headers["Set-Cookie"] = value

    def info(self) -> email.message.Message:
        """Return the headers."""
        return self._headers


def _basic(username: str | None, password: Secret | None) -> str | None:
    if username is None:
        return None
    revealed = password.reveal() if password is not None else ""
    return "Basic " + base64.b64encode(f"{username}:{revealed}".encode()).decode("ascii")
