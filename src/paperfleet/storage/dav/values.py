"""Numbers, dates and JSON of an answer, whatever a server sent. Pure; nothing here raises."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime

MOST_DIGITS = 18
"""Of a number: what is longer fits neither SQLite nor any disk."""

MOST_SECONDS = 2**63 // 10**9
"""Since the epoch: beyond it (the year 2262) nanoseconds do not fit into 64 bits."""


def number_of(text: str | None) -> int | None:
    """Return a whole number that is not negative (RFC 9110, 8.6); None when it is none."""
    digits = (text or "").strip()
    if len(digits) > MOST_DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits)


def seconds_of(date: str) -> float | None:
    """Return a date of RFC 5322 in seconds since the epoch; None when it is none."""
    try:
        seconds = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        return None  # what Python's parser raises for text that is no date
    return seconds if abs(seconds) < MOST_SECONDS else None


def json_of(body: bytes) -> object:
    """Return what a body of JSON (RFC 8259) holds; None when it is none, or nested too deeply."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def part_of(found: object, *keys: str) -> object:
    """Return what is at this path of keys in JSON; None where there is nothing."""
    for key in keys:
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found


def texts_of(found: object) -> list[str]:
    """Return the texts of a JSON list; what is no text, and what is no list, is left out."""
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
