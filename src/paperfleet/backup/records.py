"""The records of paperless-ngx's export, one after the other: its file may be larger than memory.

``manifest.json`` of ``document_exporter`` is one JSON array of Django's serialised rows.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Final

from paperfleet.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 1 << 20
_BETWEEN: Final = " \t\r\n,"


def records(stream: IO[str]) -> Iterator[dict[str, object]]:
    """Yield every object of the array; raise ``BackupError`` for what is none."""
    decoder, text, ended = json.JSONDecoder(), stream.read(_CHUNK).lstrip(), False
    if not text.startswith("["):
        raise _damaged("it is no list")
    text = text[1:]
    while True:
        text = text.lstrip(_BETWEEN)
        if text.startswith("]"):
            return
        try:
            value, end = decoder.raw_decode(text)
        except ValueError:
            more = "" if ended else stream.read(max(_CHUNK, len(text)))
            if not more:
                raise _damaged("it is cut off") from None
            text += more
            continue
        if not isinstance(value, dict):
            raise _damaged("a record is no object")
        yield value
        text = text[end:]
        if not text.strip(_BETWEEN):
            more = stream.read(_CHUNK)
            ended = not more
            text += more


def _damaged(reason: str) -> BackupError:
    return BackupError(
        f"manifest.json of document_exporter cannot be read: {reason}",
        hint="Run the backup again; if it happens again, run document_exporter by hand",
    )
