"""Logins of the Nextcloud double: passwords, sessions, and throttling of failed attempts."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Literal

from tests.servers.nextcloud_errors import DavError
from tests.servers.nextcloud_nodes import INSTANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.nextcloud_http import Request

Login = Literal["session", "app", "account"]
HALF_AN_HOUR = 30 * 60
TWELVE_HOURS = 12 * 60 * 60
LONGEST_DELAY = 25.0
CHALLENGE = {"WWW-Authenticate": 'Basic realm="Nextcloud", charset="UTF-8"'}


@dataclass(frozen=True)
class Granted:
    """How a request was let in, and the cookies of the session that was opened for it."""

    login: Login
    cookies: tuple[str, ...] = ()


class Auth:
    """One user's credentials and the state of the brute-force protection.

    `delay_scale` 1 sleeps as long as Nextcloud does after failures (0.2 … 25 s), 0 not at all.
    `throttle_from` is the number of the failed attempt that is answered with 429.
    """

    def __init__(
        self, user: str, account_password: str, app_password: str, clock: Callable[[], float]
    ) -> None:
        self.user = user
        self.account_password = account_password
        self.app_passwords = {app_password}
        self.account_delay = 0.0
        self.disabled = False
        self.throttle_from = 12
        self.delay_scale = 0.0
        self.failures: list[float] = []
        self.session_files = 0
        self._sessions: dict[str, str] = {}
        self._clock = clock
        self._lock = threading.Lock()

    def check(self, request: Request) -> Granted:
        """Let a request in, or raise 401, 429 or 503.

        A live session passes whatever the password. A POST with one ends that session and is
        judged by its password (Nextcloud's `requiresCSRFCheck`).
        """
        session = self._session_of(request)
        if session is None:
            login, password = self._check_password(request)
            return Granted(login, self._open_session(password))
        if request.method == "POST":
            self.log_out(session)
            return Granted(self._check_password(request)[0])
        self._refuse_disabled()
        return Granted("session")

    def attempts(self) -> int:
        """Failed attempts that still delay (12 h)."""
        return self._failures_within(TWELVE_HOURS)

    def delay(self) -> float:
        """Seconds by which Nextcloud delays the next login."""
        failed = self.attempts()
        return min(LONGEST_DELAY, 0.1 * 2**failed) if failed else 0.0

    def throttled(self) -> bool:
        """Tell whether logins are refused unseen (30 min)."""
        return self._failures_within(HALF_AN_HOUR) >= self.throttle_from - 1

    def revoke(self, app_password: str) -> None:
        """Revoke an app password and end its sessions."""
        with self._lock:
            self.app_passwords.discard(app_password)
            self._sessions = {k: v for k, v in self._sessions.items() if v != app_password}

    def log_out(self, session: str | None = None) -> None:
        """End one session, or all."""
        with self._lock:
            if session is None:
                self._sessions.clear()
            else:
                self._sessions.pop(session, None)

    def sessions(self) -> int:
        """Return how many sessions are open."""
        with self._lock:
            return len(self._sessions)

    def _failures_within(self, seconds: float) -> int:
        since = self._clock() - seconds
        with self._lock:
            return sum(1 for failure in self.failures if failure > since)

    def _session_of(self, request: Request) -> str | None:
        cookies: SimpleCookie = SimpleCookie(request.header("Cookie") or "")
        morsel = cookies.get(INSTANCE)
        with self._lock:
            return morsel.value if morsel is not None and morsel.value in self._sessions else None

    def _check_password(self, request: Request) -> tuple[Login, str]:
        credentials = _basic(request)
        if credentials is None:
            raise DavError(401, "No 'Authorization: Basic' header found.", headers=CHALLENGE)
        if self.throttled():
            raise DavError(429, "Reached maximum delay")
        time.sleep(self.delay() * self.delay_scale)
        login = self._login_for(*credentials)
        if login is None:
            with self._lock:
                self.failures.append(self._clock())
            raise DavError(401, "Username or password was incorrect", headers=CHALLENGE)
        self._refuse_disabled()
        return login, credentials[1]

    def _login_for(self, user: str, password: str) -> Login | None:
        if user != self.user:
            return None
        if password in self.app_passwords:
            return "app"
        time.sleep(self.account_delay)
        return "account" if password == self.account_password else None

    def _refuse_disabled(self) -> None:
        if self.disabled:
            raise DavError(503, "OC\\User\\LoginException: Account disabled")

    def _open_session(self, credential: str) -> tuple[str, ...]:
        session = secrets.token_hex(13)
        with self._lock:
            self._sessions[session] = credential
            self.session_files += 1
        flags = "path=/; HttpOnly; SameSite=Lax"
        return f"{INSTANCE}={session}; {flags}", f"oc_sessionPassphrase={session}; {flags}"


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = (request.header("Authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
