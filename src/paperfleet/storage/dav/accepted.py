"""202: the server has taken the request and not done it yet (RFC 9110, 15.3.3)."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from paperfleet.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.dav.answers import Answer
    from paperfleet.storage.dav.client import DavClient

PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between looks at what a server has accepted."""


def wait_if_accepted(
    client: DavClient, answer: Answer, is_done: Callable[[], bool], operation: str, name: str
) -> None:
    """Return at once unless the answer is 202, else when ``is_done`` sees the effect.

    Raises ``UnavailableError`` when it is not seen within some seconds: nobody knows then.
    """
    if answer.status != HTTPStatus.ACCEPTED:
        return
    for pause in PAUSES:
        if is_done():
            return
        time.sleep(pause)
    if not is_done():
        raise client.failure(
            UnavailableError,
            "the server accepted the request and has not done it yet (HTTP 202)",
            operation,
            name,
        )
