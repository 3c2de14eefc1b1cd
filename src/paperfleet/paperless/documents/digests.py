"""Comparing stored bytes with the checksums of the database."""

from __future__ import annotations

import hashlib
import re
from typing import IO, TYPE_CHECKING, NamedTuple

from paperfleet.storage.hashing import CHUNK

if TYPE_CHECKING:
    from pathlib import Path

    from paperfleet.model import FileStat
    from paperfleet.storage.full import FullStorage

_MD5_DIGITS = 32
_CHECKSUM = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


def is_md5(checksum: str) -> bool:
    """Say whether a checksum is the MD5 of paperless-ngx 2; it goes by the length.

    A row that paperless-ngx 3 could not convert, because its file was missing, keeps its MD5.
    """
    return len(checksum) == _MD5_DIGITS


def is_checksum(checksum: str) -> bool:
    """Say whether a text of the database is one that bytes can be compared with."""
    return _CHECKSUM.fullmatch(checksum) is not None


class FileDigests(NamedTuple):
    """Both checksums of one content, in hex."""

    sha256: str
    md5: str

    def like(self, checksum: str) -> str:
        """Return the one that compares with ``checksum``."""
        return self.md5 if is_md5(checksum) else self.sha256


def digests_of(path: Path) -> FileDigests:
    """Read a local file and return its checksums; raise ``OSError``."""
    with path.open("rb") as stream:
        return _of(stream)


def _of(stream: IO[bytes]) -> FileDigests:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    while chunk := stream.read(CHUNK):
        sha256.update(chunk)
        md5.update(chunk)
    return FileDigests(sha256.hexdigest(), md5.hexdigest())


def read(storage: FullStorage, name: str) -> FileDigests:
    """Read a file and return its checksums; raise ``StorageError``."""
    with storage.open(name) as stream:
        return _of(stream)


def comparable(storage: FullStorage, found: FileStat, checksum: str, *, trust: bool) -> str:
    """Return the digest of a stored file that compares with ``checksum``; raise ``StorageError``.

    With ``trust`` the word of a storage that vouches for its bytes counts for SHA-256 (a cache in
    front of the store may give other bytes all the same). Without it every byte is read.
    """
    if trust and not is_md5(checksum):
        return found.sha256 or storage.content_sha256(found.name)
    return read(storage, found.name).like(checksum)
