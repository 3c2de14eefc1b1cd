"""Comparing stored bytes with the checksums of the database."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.storage import abilities
from paperfleet.storage.hashing import CHUNK

if TYPE_CHECKING:
    from paperfleet.model import FileStat
    from paperfleet.storage.protocol import DocumentStorage

_MD5_DIGITS = 32


def is_md5(checksum: str) -> bool:
    """Say whether a checksum is the MD5 of paperless-ngx 2; it goes by the length.

    A row that paperless-ngx 3 could not convert, because its file was missing, keeps its MD5.
    """
    return len(checksum) == _MD5_DIGITS


class Digests(NamedTuple):
    """Both checksums of one content, in hex."""

    sha256: str
    md5: str

    def like(self, checksum: str) -> str:
        """Return the one that compares with ``checksum``."""
        return self.md5 if is_md5(checksum) else self.sha256


def read(storage: DocumentStorage, name: str) -> Digests:
    """Read a file and return its checksums; raise ``StorageError``."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with storage.open(name) as stream:
        while chunk := stream.read(CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return Digests(sha256.hexdigest(), md5.hexdigest())


def comparable(storage: DocumentStorage, found: FileStat, checksum: str) -> str:
    """Return the digest of a stored file that compares with ``checksum``; raise ``StorageError``.

    The word of a storage that vouches for its bytes counts for SHA-256.
    """
    if is_md5(checksum):
        return read(storage, found.name).md5
    return found.sha256 or abilities.content_sha256(storage, found.name)
