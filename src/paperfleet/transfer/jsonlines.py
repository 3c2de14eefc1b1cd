"""Text files of JSON lines: an object in each, with a SHA-256 of them in the last."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from paperfleet.printable import readable_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def line(value: dict[str, object]) -> str:
    """Return a line, with its line end."""
    return readable_json(value) + "\n"


def object_in(text: str, damaged: Callable[[str], Exception]) -> dict[str, object]:
    """Return the object of a line; raise what ``damaged`` makes of the reason."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise damaged("a line is not JSON") from None
    if not isinstance(value, dict):
        raise damaged("a line is not an object")
    return value


def digest(rows: Iterable[str]) -> str:
    """Return the SHA-256 (hex) of lines, each with its line end."""
    return hashlib.sha256("".join(rows).encode()).hexdigest()
