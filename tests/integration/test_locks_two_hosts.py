"""Two hosts on one lease, and one of them loses its network."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest
from tests.servers.postgres_server import postgres_missing, postgres_server
from tests.servers.redis_server import redis_missing, redis_server
from tests.servers.two_hosts import Host, hosts_missing, two_hosts

from paperfleet.testing.leaseholder import Holder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.servers.postgres_server import PostgresServer
    from tests.servers.redis_server import RedisServer

OPENER = "paperfleet.locks.registry:open_lease_store"
NAME = "one of us"
TTL = 3.0


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    if reason := hosts_missing():
        pytest.skip(reason)
    with two_hosts() as hosts:
        yield hosts


@contextlib.contextmanager
def on(host: Host, server: RedisServer | PostgresServer) -> Iterator[Holder]:
    """Run a process on a host that has its leases on the server."""
    address = server.url_at(server.port, host.server)
    with Holder(OPENER, address, NAME, TTL, prefix=host.prefix) as holder:
        yield holder


def served(
    kind: str, hosts: tuple[Host, Host]
) -> AbstractContextManager[RedisServer | PostgresServer]:
    if reason := {"redis": redis_missing, "postgres": postgres_missing}[kind]():
        pytest.skip(reason)
    addresses = ["127.0.0.1", *(host.server for host in hosts)]
    if kind == "redis":
        return redis_server(bind=" ".join(addresses))
    return postgres_server(bind=",".join(addresses))


@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_a_host_without_network_is_succeeded_and_knows_it(
    hosts: tuple[Host, Host], kind: str
) -> None:
    one, two = hosts
    with served(kind, hosts) as server, on(one, server) as first, on(two, server) as second:
        generation = first.acquire()
        assert second.tell("acquire", 0) == "timeout"
        one.unplug()
        unplugged = time.monotonic()
        try:
            second.begin("acquire", 30)
            assert second.answer().startswith("granted ")
            assert time.monotonic() - unplugged < TTL + 2
            assert first.tell("check") == "lost"
        finally:
            one.plug_in()
        assert second.tell("confirm") == "held"
        assert first.tell("acquire", 0) == "timeout"
        assert second.tell("release") == "released"
        assert first.acquire() > generation
