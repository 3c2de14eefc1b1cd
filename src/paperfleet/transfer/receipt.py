"""The receipt of a migration: a manifest that can be checked again years later.

A text file of JSON lines (UTF-8): a header, then a line for each file sorted by name, a line for
everything that the source had and that could not be brought over, then a total.

    {"paperfleet_receipt": 2, "created": "2026-01-31T12:00:00+00:00", "source": "…", "target": "…"}
    {"name": "2024/acme/invoice.pdf", "size": 48213, "sha256": "9f86d081…", "proven": "read"}
    {"left_out": "2024/link", "reason": "a symbolic link, and links are not followed"}
    {"files": 1, "bytes": 48213, "proven": {"read": 1}, "left_out": 1, "sha256": "…"}

The last ``sha256`` is that of all lines between, each with its line end, so that a receipt which
was cut off or edited is noticed. Version 1 had neither ``proven`` nor ``left_out``; it is read too.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import PaperfleetError
from paperfleet.storage.names import readable
from paperfleet.transfer.jsonlines import digest, line, object_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

VERSION = 2
_READ = {1, VERSION}
BY_HASH = "hash"
"""The store computed a checksum of the bytes that it holds, and it is the right one."""
BY_READING = "read"
"""The bytes at the target were read, by the store itself or from here, and are the right ones."""


class ReceiptError(PaperfleetError):
    """This is no receipt, or not the one that was written."""


class ReceiptEntry(NamedTuple):
    """One file: its name, size in bytes, SHA-256 (hex), and how that was proven at the target.

    ``proven`` is ``BY_HASH``, ``BY_READING``, or '' in what an earlier version wrote.
    """

    name: str
    size: int
    sha256: str
    proven: str = ""


class Receipt(NamedTuple):
    """What was at the target, file by file, when it was verified; labels are without secrets.

    ``left_out`` are names at the source that could not be brought over, with the reason.
    """

    created: str
    source: str
    target: str
    entries: tuple[ReceiptEntry, ...]
    left_out: Mapping[str, str] = {}

    @property
    def size(self) -> int:
        """All bytes."""
        return sum(entry.size for entry in self.entries)


def merged(old: Sequence[ReceiptEntry], new: Iterable[ReceiptEntry]) -> list[ReceiptEntry]:
    """Return all entries of both, sorted; of two with one name the newer."""
    names = {entry.name: entry for entry in old} | {entry.name: entry for entry in new}
    return sorted(names.values())


def lines(receipt: Receipt) -> Iterator[str]:
    """Yield the lines of a receipt, each with its line end."""
    yield line(
        {
            "paperfleet_receipt": VERSION,
            "created": receipt.created,
            "source": receipt.source,
            "target": receipt.target,
        }
    )
    rows = [line(_row(entry)) for entry in sorted(receipt.entries)]
    rows += [
        line({"left_out": readable(name), "reason": reason})
        for name, reason in sorted(receipt.left_out.items())
    ]
    yield from rows
    yield line(_total(receipt.entries, len(receipt.left_out), rows))


def stamp(now: datetime) -> str:
    """Return a time as ``Receipt.created`` has it."""
    return now.isoformat(timespec="seconds")


def parse(text: Iterable[str]) -> Receipt:
    """Return the receipt of these lines; raise ``ReceiptError``."""
    head, *body = list(text) or [""]
    header = object_in(head, _damaged)
    if header.get("paperfleet_receipt") not in _READ:
        raise ReceiptError(
            "this is not a receipt that this version reads",
            hint="Give the file that paperfleet migrate --receipt wrote",
        )
    if not body:
        raise _damaged("it ends after its first line")
    *rows, last = body
    values = [object_in(row, _damaged) for row in rows]
    entries = tuple(_entry(value) for value in values if "left_out" not in value)
    left_out = {
        str(value["left_out"]): str(value.get("reason", ""))
        for value in values
        if "left_out" in value
    }
    expected = _total(entries, len(left_out), rows)
    if header["paperfleet_receipt"] == 1:
        expected = {key: expected[key] for key in ("files", "bytes", "sha256")}
    if object_in(last, _damaged) != expected:
        raise _damaged("its lines do not add up to its total")
    created, source, target = (str(header.get(key, "")) for key in ("created", "source", "target"))
    return Receipt(created, source, target, entries, left_out)


def _row(entry: ReceiptEntry) -> dict[str, object]:
    row = entry._asdict()
    return row if entry.proven else {key: row[key] for key in row if key != "proven"}


def _total(
    entries: Sequence[ReceiptEntry], left_out: int, rows: Iterable[str]
) -> dict[str, object]:
    return {
        "files": len(entries),
        "bytes": sum(entry.size for entry in entries),
        "proven": dict(sorted(Counter(e.proven for e in entries if e.proven).items())),
        "left_out": left_out,
        "sha256": digest(rows),
    }


def _entry(value: dict[str, object]) -> ReceiptEntry:
    name, size, sha256 = value.get("name"), value.get("size"), value.get("sha256")
    if not (isinstance(name, str) and type(size) is int and isinstance(sha256, str)):
        raise _damaged("a line is not a file's")
    return ReceiptEntry(name, size, sha256, str(value.get("proven", "")))


def _damaged(reason: str) -> ReceiptError:
    return ReceiptError(f"the receipt is damaged: {reason}", hint="Use another copy of it")
