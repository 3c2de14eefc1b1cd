"""Mtimes that clients send, by the rules of Nextcloud's MtimeSanitizer."""

from __future__ import annotations

import math

from tests.servers.nextcloud_errors import DavError

ONE_DAY = 24 * 60 * 60


def parse_mtime(value: str) -> int:
    """Return whole seconds, fractions cut off; 500 for text and for the first day of 1970.

    Nextcloud applies this after the body is stored, so such a PUT fails and yet writes.
    """
    number = _number(value)
    if number is None:
        raise DavError(500, f'X-OC-MTime header must be a valid integer, got "{value}".')
    if number <= ONE_DAY:
        raise DavError(500, f'X-OC-MTime header must be greater than one day, got "{value}".')
    return int(number)


def _number(value: str) -> float | None:
    try:
        number = float(value.replace("_", "x"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
