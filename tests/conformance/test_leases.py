"""Every kind of lease store keeps the promises of leases."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import pytest
from tests.servers.postgres_server import postgres_missing, postgres_server
from tests.servers.redis_server import redis_missing, redis_server
from tests.wide import QUICK, WIDE

from paperfleet.testing.lease_suite import LeaseSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTRY = "paperfleet.locks.registry:open_lease_store"
ONE_PROCESS = "a memory belongs to one process"


INCREMENTS = 240 if QUICK else 2000


@pytest.fixture(scope="module")
def redis_address() -> Iterator[str]:
    if reason := redis_missing():
        pytest.skip(reason)
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="module")
def postgres_address() -> Iterator[str]:
    if reason := postgres_missing():
        pytest.skip(reason)
    with postgres_server() as server:
        yield server.url


@WIDE
class TestMemory(LeaseSuite):
    opener = REGISTRY
    exceptions: ClassVar = {
        "test_a_killed_holder_is_succeeded_within_its_time": ONE_PROCESS,
        "test_a_stopped_holder_learns_of_its_loss_before_it_writes": ONE_PROCESS,
        "test_a_holder_that_is_stopped_briefly_keeps_it": ONE_PROCESS,
        "test_a_forked_process_does_not_hold_it": ONE_PROCESS,
        "test_processes_count_together": ONE_PROCESS,
    }

    @pytest.fixture
    def address(self) -> str:
        return "memory:"


class TestFile(LeaseSuite):
    opener = REGISTRY
    increments = INCREMENTS

    @pytest.fixture
    def address(self, tmp_path: Path) -> Iterator[str]:
        fast = Path("/dev/shm")  # noqa: S108  # a folder with a name of its own is made in it
        with TemporaryDirectory(dir=fast if fast.is_dir() else tmp_path) as folder:
            yield f"file:{folder}/leases"


class TestRedis(LeaseSuite):
    opener = REGISTRY
    increments = INCREMENTS

    @pytest.fixture
    def address(self, redis_address: str) -> str:
        return redis_address


class TestPostgres(LeaseSuite):
    opener = REGISTRY
    increments = INCREMENTS

    @pytest.fixture
    def address(self, postgres_address: str) -> str:
        return postgres_address
