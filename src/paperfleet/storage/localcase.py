"""Finding out whether a folder on disk tells 'a' from 'A'."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from paperfleet.storage.localfs import SAVING_PREFIX, look

if TYPE_CHECKING:
    from paperfleet.storage.localfs import Root


def tells_case_apart(root: Root, *, may_write: bool) -> bool:
    """Say whether names in the root differ by case; raise ``OSError`` if it cannot be read.

    Looks at what is there first; only an empty folder is written to, and left empty.
    """
    folder = root.open()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.swapcase() != entry.name and entry.name.isascii():
                    return not _is_same(folder, entry.name, entry.name.swapcase())
        return _probe(folder) if may_write else True
    finally:
        os.close(folder)


def _probe(folder: int) -> bool:
    name = SAVING_PREFIX + secrets.token_hex(8)
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder))
    try:
        return not _is_same(folder, name, name.upper())
    finally:
        os.unlink(name, dir_fd=folder)


def _is_same(folder: int, name: str, other: str) -> bool:
    one, two = look(folder, name), look(folder, other)
    return one is not None and two is not None and os.path.samestat(one, two)
