"""The receipt of a migration: a manifest that can be checked again years later.

A text file of JSON lines (UTF-8): a header, then a line for each file sorted by name, then a total.

    {"paperfleet_receipt": 1, "created": "2026-01-31T12:00:00+00:00", "source": "…", "target": "…"}
    {"name": "2024/acme/invoice.pdf", "size": 48213, "sha256": "9f86d081…"}
    {"files": 1, "bytes": 48213, "sha256": "…"}

The last ``sha256`` is that of all file lines, each with its line end, so that a receipt which was
cut off or edited is noticed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import PaperfleetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

VERSION = 1


class ReceiptError(PaperfleetError):
    """This is no receipt, or not the one that was written."""


class Entry(NamedTuple):
    """One file: its name, size in bytes, and SHA-256 (hex)."""

    name: str
    size: int
    sha256: str


class Receipt(NamedTuple):
    """What was at the target, file by file, when it was verified; labels are without secrets."""

    created: str
    source: str
    target: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(entry.size for entry in self.entries)


def lines(entries: Iterable[Entry], *, source: str, target: str, now: datetime) -> Iterator[str]:
    """Yield the lines of a receipt, each with its line end."""
    yield _line(
        {
            "paperfleet_receipt": VERSION,
            "created": now.isoformat(timespec="seconds"),
            "source": source,
            "target": target,
        }
    )
    digest, files, size = hashlib.sha256(), 0, 0
    for entry in sorted(entries):
        line = _line(entry._asdict())
        digest.update(line.encode())
        files, size = files + 1, size + entry.size
        yield line
    yield _line({"files": files, "bytes": size, "sha256": digest.hexdigest()})


def parse(text: Iterable[str]) -> Receipt:
    """Return the receipt of these lines; raise ``ReceiptError``."""
    head, *body = list(text) or [""]
    header = _object(head)
    if header.get("paperfleet_receipt") != VERSION:
        raise ReceiptError(
            "this is not a receipt that this version reads",
            hint="Give the file that paperfleet migrate --receipt wrote",
        )
    if not body:
        raise _damaged("it ends after its first line")
    *rows, last = body
    digest = hashlib.sha256("".join(rows).encode()).hexdigest()
    total = _object(last)
    entries = tuple(map(_entry, rows))
    expected = {"files": len(rows), "bytes": sum(e.size for e in entries), "sha256": digest}
    if total != expected:
        raise _damaged("its lines do not add up to its total")
    return Receipt(str(header["created"]), str(header["source"]), str(header["target"]), entries)


def _line(value: dict[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _object(line: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except ValueError:
        raise _damaged("a line is not JSON") from None
    if not isinstance(value, dict):
        raise _damaged("a line is not an object")
    return value


def _entry(line: str) -> Entry:
    value = _object(line)
    name, size, sha256 = value.get("name"), value.get("size"), value.get("sha256")
    if not (isinstance(name, str) and isinstance(size, int) and isinstance(sha256, str)):
        raise _damaged("a line is not a file's")
    return Entry(name, size, sha256)


def _damaged(reason: str) -> ReceiptError:
    return ReceiptError(f"the receipt is damaged: {reason}", hint="Use another copy of it")
