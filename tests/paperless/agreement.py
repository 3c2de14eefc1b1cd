"""Whether database and storage agree, seen past paperless-ngx: through psycopg and boto3."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from tests.servers.s3 import S3Bypass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.paperless.installation import Bucket, Installation

MARK = "paperfleet.json"
WORK = ".paperfleet-work/"


@dataclass(frozen=True)
class Row:
    """A document, a version or a document in the trash, as the database has it."""

    number: int
    names: dict[str, str]
    """The key of each of its files, and the checksum that the database has of it."""


@dataclass
class Comparison:
    """What does not agree; ``orphans`` are files that no row names."""

    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    def require_nothing_lost(self) -> None:
        """Each file that a row names is there and unharmed."""
        assert not self.missing, self
        assert not self.damaged, self

    def require_agreement(self) -> None:
        """Nothing is missing, damaged or left over."""
        self.require_nothing_lost()
        assert not self.orphans, self


def rows(installation: Installation) -> list[Row]:
    """Return all documents, also versions and what is in the trash; not those of ``forget``."""
    query = """
        SELECT id, filename, checksum, archive_filename, archive_checksum FROM documents_document
        WHERE filename IS NOT NULL OR deleted_at IS NULL
    """
    with psycopg.connect(installation.database_url()) as connection:
        found = connection.execute(query).fetchall()
    return [_row(*columns) for columns in found]


def row_of(installation: Installation, number: int) -> Row:
    """Return a document's files as the database has them."""
    (row,) = (row for row in rows(installation) if row.number == number)
    return row


def _row(
    number: int, name: str, checksum: str, archive: str | None, archive_checksum: str | None
) -> Row:
    names = {f"originals/{name}": checksum}
    if archive:
        names[f"archive/{archive}"] = str(archive_checksum)
    return Row(number, names)


def bypass(bucket: Bucket) -> S3Bypass:
    """Return the objects of an installation, through another client and past any proxy."""
    return S3Bypass(bucket.server, bucket.location)


def checksum(content: bytes, like: str) -> str:
    """Return the checksum of content, of the kind that the database has (v2: MD5, v3: SHA-256)."""
    algorithm = {32: "md5", 64: "sha256"}[len(like)]
    return hashlib.new(algorithm, content).hexdigest()


def compare(installation: Installation, objects: S3Bypass) -> Comparison:
    """Compare every row with the object that it names, by content, and look for others."""
    found = Comparison()
    named: set[str] = set()
    for row in rows(installation):
        for name, expected in row.names.items():
            named.add(name)
            try:
                content = objects.read(name)
            except FileNotFoundError:
                found.missing.append(f"{name} of document {row.number}")
                continue
            if checksum(content, expected) != expected:
                found.damaged.append(f"{name} of document {row.number}")
    others = objects.names() - named - {MARK}
    found.orphans = sorted(name for name in others if not name.startswith(WORK))
    return found


def forget(installation: Installation, numbers: Iterable[int]) -> None:
    """Let later tests not see documents that one has lost: its failure is enough."""
    query = """
        UPDATE documents_document
        SET filename = NULL, archive_filename = NULL, deleted_at = now() WHERE id = %s
    """
    with psycopg.connect(installation.database_url()) as connection:
        for number in numbers:
            connection.execute(query, (number,))
