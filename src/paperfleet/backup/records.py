"""The records of paperless-ngx's export, one after the other: its file may be larger than memory.

``manifest.json`` of ``document_exporter`` is one JSON array of Django's serialised rows.
"""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING, Final

from paperfleet.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 1 << 20
_BETWEEN: Final = re.compile(r"[ \t\r\n,]*")


def records(stream: IO[str]) -> Iterator[dict[str, object]]:
    """Yield every object of the array; raise ``BackupError`` for what is none."""
    decoder, text, ended = json.JSONDecoder(), stream.read(_CHUNK).lstrip(), False
    if not text.startswith("["):
        raise _damaged("it is no list")
    at = 1  # what is before it was yielded; to cut that off each time would copy all the rest
    while True:
        at = _next(text, at)
        if text.startswith("]", at):
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            more = "" if ended else stream.read(max(_CHUNK, len(text) - at))
            if not more:
                raise _damaged("it is cut off") from None
            text, at = text[at:] + more, 0
            continue
        if not isinstance(value, dict):
            raise _damaged("a record is no object")
        yield value
        at = _next(text, end)
        if at == len(text):
            text, at = stream.read(_CHUNK), 0
            ended = not text


def _next(text: str, at: int) -> int:
    """Return where the next record begins."""
    found = _BETWEEN.match(text, at)
    return found.end() if found else at


def _damaged(reason: str) -> BackupError:
    return BackupError(
        f"manifest.json of document_exporter cannot be read: {reason}",
        hint="Run the backup again; if it happens again, run document_exporter by hand",
    )
