"""Heartbeats of a run and of a drill: a monitor raises the alarm when they stay away.

The addresses are those of healthchecks.io (https://healthchecks.io/docs/http_api/): with ``/start``
after it, as it is, with ``/fail`` after it. Nothing but the address is sent: no name, no number.
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from paperfleet.settings.config import read_secret
from paperfleet.storage.transport.curl import CurlTransport
from paperfleet.storage.transport.exchange import HttpRequest, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from paperfleet.secret import Secret

_PATIENCE_SECONDS: Final = 5.0
"""What a monitor may take to answer; a backup never waits longer for it."""
_START: Final = "/start"
_FAIL: Final = "/fail"
_SUCCESS: Final = ""


class Heartbeat:
    """The heartbeats of one run; ``good`` is set by whoever has seen that all went well."""

    def __init__(self, url: Secret | None, say: Callable[[str], object]) -> None:
        self.good = False
        self._url, self._say = url, say

    def send(self, after: str) -> None:
        """Ask the address with ``after`` at its end; what goes wrong is said, and fails nothing."""
        if not self._url:
            return
        try:
            _ask(urlsplit(self._url.reveal()), after)
        except TransportError as error:
            self._tell(error.reason)
        except (OSError, ValueError):  # a certificate, a proxy or an address that cannot be used
            self._tell("its address, the proxy or the certificates cannot be used")

    def _tell(self, reason: str) -> None:
        self._say(f"the heartbeat could not be sent: {reason}")


@contextmanager
def beating(url: Secret | None, say: Callable[[str], object]) -> Iterator[Heartbeat]:
    """Send a heartbeat at the start of the block and one at its end, however it ends."""
    heart = Heartbeat(url, say)
    heart.send(_START)
    try:
        yield heart
    finally:
        heart.send(_SUCCESS if heart.good else _FAIL)


def address_of(url: Secret | None, file: Path | None) -> Secret | None:
    """Return the address that one of both settings gives; raise ``ConfigurationError``."""
    return url if file is None else read_secret(file, "the address of the heartbeat")


def _ask(url: SplitResult, after: str) -> None:
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError
    whole = url._replace(path=url.path.rstrip("/") + after, fragment="").geturl()
    transport = CurlTransport(f"{url.scheme}://{url.netloc}", timeout=_PATIENCE_SECONDS)
    try:
        answer = transport.send(HttpRequest("GET", whole, timeout=_PATIENCE_SECONDS))
        answer.close()
    finally:
        transport.close()
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise TransportError(f"the answer was {answer.status}", sent=True)
