"""Several hosts on one bucket, and what a large file costs: each host is a backend of its own."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.servers.moto_server import moto_server
from tests.servers.s3 import S3Bypass

from paperfleet.errors import (
    AlreadyExistsError,
    LockedError,
    NotFoundError,
    PreconditionFailedError,
)
from paperfleet.model import ABSENT, Precondition, Upload
from paperfleet.storage.bucket.features import Features
from paperfleet.testing.suite_threads import THREADS, at_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.s3 import S3Server

    from paperfleet.storage.bucket.backends import S3CompatibleBackend

REPOSITORY = Path(__file__).parents[2]
CHILD = """
import io, resource, sys
from paperfleet.secret import Secret
from paperfleet.storage.registry import open_storage

class Zeros(io.RawIOBase):
    def __init__(self, size):
        self.left = size
    def read(self, size=-1):
        taken = min(size, self.left)
        self.left -= taken
        return bytes(taken)

storage = open_storage(sys.argv[1], {"secret_key": sys.argv[3]})
storage.save("small", io.BytesIO(b"x"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
storage.save("large", Zeros(int(sys.argv[2])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def bypass(server: S3Server, location: str) -> S3Bypass:
    return S3Bypass(server, location)


@pytest.fixture
def hosts(server: S3Server, location: str) -> list[S3CompatibleBackend]:
    return [server.backend(location=location) for _ in range(THREADS)]


def upload(data: bytes) -> Upload:
    return Upload(lambda: io.BytesIO(data), len(data), None, hashlib.sha256(data).hexdigest())


def test_what_moto_can_do(hosts: list[S3CompatibleBackend], bypass: S3Bypass) -> None:
    untried = hosts[0].capabilities
    assert untried.conditional_create is None
    assert hosts[0]._probe.features() == Features(create=True, update=True, copy_new=False)
    assert hosts[0].capabilities.conditional_create
    assert bypass.names() == set()


def test_one_host_creates(hosts: list[S3CompatibleBackend], bypass: S3Bypass) -> None:
    created = []

    def work(number: int) -> None:
        try:
            hosts[number].save_with("a", upload(b"%d" % number), ABSENT)
        except AlreadyExistsError:
            return
        created.append(number)

    at_once(work)
    assert len(created) == 1
    assert bypass.read("a") == b"%d" % created[0]


def test_no_update_is_lost(hosts: list[S3CompatibleBackend], bypass: S3Bypass) -> None:
    hosts[0].save("a", io.BytesIO(b"0"))

    def counted(host: S3CompatibleBackend) -> bool:
        etag = host.stat("a").etag
        with host.open("a") as stream:
            count = int(stream.read())
        try:
            host.save_with("a", upload(b"%d" % (count + 1)), Precondition(etag=etag))
        except PreconditionFailedError:
            return False
        return True

    def work(number: int) -> None:
        assert any(counted(hosts[number]) for _ in range(100))

    at_once(work, 4)
    assert bypass.read("a") == b"4"


def test_moves_onto_one_name_lose_nothing(
    hosts: list[S3CompatibleBackend], bypass: S3Bypass
) -> None:
    contents = {b"%d" % number for number in range(THREADS)}
    for number, host in enumerate(hosts):
        host.save(f"a{number}", io.BytesIO(b"%d" % number))
    moved = []

    def work(number: int) -> None:
        try:
            hosts[number].move(f"a{number}", "b")
        except AlreadyExistsError:
            return
        moved.append(number)

    at_once(work)
    assert len(moved) == 1
    assert {bypass.read(name) for name in bypass.names()} == contents
    assert len(bypass.names()) == THREADS


def test_moves_of_one_file_happen_once(hosts: list[S3CompatibleBackend], bypass: S3Bypass) -> None:
    hosts[0].save("a", io.BytesIO(b"one"))
    moved = []

    def work(number: int) -> None:
        try:
            hosts[number].move("a", f"b{number}")
        except (NotFoundError, LockedError):
            return
        moved.append(number)

    at_once(work)
    assert len(moved) == 1
    assert bypass.names() == {f"b{moved[0]}"}


def test_memory_stays_at_a_few_parts(server: S3Server, location: str, bypass: S3Bypass) -> None:
    size = 300_000_000
    arguments = [server.url(location), str(size), server.secret_key]
    command = [sys.executable, "-c", CHILD, *arguments]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 80_000, "KiB"
    sizes = {stat.name: stat.size for stat in server.backend(location=location).list_stats()}
    assert sizes == {"large": size, "small": 1}
    assert bypass.uploads() == []
