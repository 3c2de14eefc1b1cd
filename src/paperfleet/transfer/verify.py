"""Check a storage against a receipt."""

from __future__ import annotations

import enum
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import NotFoundError, Scope, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.model import FileStat
    from paperfleet.storage.full import FullStorage
    from paperfleet.transfer.receipt import Receipt, ReceiptEntry


class FileState(enum.Enum):
    """What became of a file since the receipt was written."""

    INTACT = "intact"
    MISSING = "missing"
    CHANGED = "changed"
    UNREADABLE = "unreadable"


class Checked(NamedTuple):
    """One file of the receipt; ``reason`` says what was found."""

    entry: ReceiptEntry
    state: FileState
    reason: str = ""


def check(receipt: Receipt, storage: FullStorage, threads: int = 8) -> Iterator[Checked]:
    """Yield every file of the receipt with what it is now, by its bytes; in the receipt's order.

    The storage is entered by the caller. Raises the ``StorageError`` of a storage that is out of
    reach as a whole.
    """
    there = {stat.name: stat for stat in storage.list_stats()}
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        yield from pool.map(lambda e: _check(e, there.get(e.name), storage), receipt.entries)


def _check(entry: ReceiptEntry, seen: FileStat | None, storage: FullStorage) -> Checked:
    try:
        if seen is None or seen.size != entry.size:
            seen = storage.stat(entry.name)  # listings of some stores lag behind
        if seen.size != entry.size:
            return Checked(entry, FileState.CHANGED, f"{seen.size} bytes instead of {entry.size}")
        digest = seen.sha256 or storage.content_sha256(entry.name)
    except NotFoundError:
        return Checked(entry, FileState.MISSING, "it is not there")
    except StorageError as error:
        if error.scope is Scope.STORAGE:
            raise
        return Checked(entry, FileState.UNREADABLE, error.reason)
    if digest != entry.sha256:
        return Checked(entry, FileState.CHANGED, "other bytes of the same size")
    return Checked(entry, FileState.INTACT)
