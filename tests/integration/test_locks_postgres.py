"""Leases in a PostgreSQL that is killed, cut off, pooled, or that refuses."""

from __future__ import annotations

import struct
import time
import traceback
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.integration.lease_kit import Loss, take_over
from tests.servers.postgres_server import PostgresServer, postgres_missing, postgres_server
from tests.servers.tcp_proxy import tcp_proxy

from paperfleet.errors import ConfigurationError, LeaseError, LeaseLostError, LeaseTimeoutError
from paperfleet.locks.backends.postgres import PostgresLeases
from paperfleet.locks.registry import open_lease_store
from paperfleet.locks.store import Leases
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.locks.protocol import LeaseStore

TTL = 2.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    if reason := postgres_missing():
        pytest.skip(reason)
    with postgres_server() as server:
        yield server


@pytest.fixture
def store(server: PostgresServer) -> Iterator[LeaseStore]:
    with open_lease_store(server.url) as store:
        yield store


def short(url: str, timeout: float = 0.5) -> Leases:
    """Return a store that does not wait for long for an answer."""
    return Leases(PostgresLeases(Secret(url), timeout=timeout))


def execute(server: PostgresServer, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_server_that_was_started_again_never_makes_two_holders(
    server: PostgresServer, end: str
) -> None:
    loss, name = Loss(), f"restart: {end}"
    with open_lease_store(server.url) as one, open_lease_store(server.url) as two:
        lease = one.acquire(name, ttl=TTL, timeout=5, on_lost=loss)
        getattr(server, end)()
        server.start()
        second, seconds = take_over(two, name, TTL, lease)
        assert seconds < TTL + 3
        assert loss.wait()
        second.confirm()
        one.acquire("another", ttl=TTL, timeout=5).confirm()


def test_a_session_that_an_administrator_ends_never_makes_two_holders(
    server: PostgresServer, store: LeaseStore
) -> None:
    loss = Loss()
    with open_lease_store(server.url) as one:
        lease = one.acquire("ended", ttl=TTL, timeout=5, on_lost=loss)
        (ended,) = execute(
            server, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        )
        assert ended == (True,)
        take_over(store, "ended", TTL, lease)
        assert loss.wait()


@pytest.mark.parametrize("how", ["cut", "fall_silent"])
def test_a_holder_that_is_cut_off_loses_it(
    server: PostgresServer, store: LeaseStore, how: str
) -> None:
    loss, name = Loss(), f"cut off: {how}"
    with tcp_proxy(server.port) as proxy, short(server.url_at(proxy.port)) as cut_off:
        lease = cut_off.acquire(name, ttl=TTL, timeout=5, on_lost=loss)
        getattr(proxy, how)()
        second, seconds = take_over(store, name, TTL, lease)
        assert seconds < TTL + 1
        assert loss.wait()
        with pytest.raises(LeaseLostError):
            lease.check()
        proxy.heal()
        lease.release()
        second.confirm()


def test_a_silent_connection_is_given_up(server: PostgresServer) -> None:
    with tcp_proxy(server.port) as proxy, short(server.url_at(proxy.port)) as store:
        store.acquire("warm", ttl=30, timeout=5).release()
        proxy.fall_silent()
        began = time.monotonic()
        with pytest.raises(LeaseError, match="does not answer"):
            store.acquire("silent", ttl=30, timeout=5)
        assert time.monotonic() - began < 8


def test_spare_connections_that_have_died_are_replaced(server: PostgresServer) -> None:
    with tcp_proxy(server.port) as proxy, short(server.url_at(proxy.port)) as store:
        store.acquire("spare", ttl=30, timeout=5).release()
        proxy.cut()
        proxy.heal()
        store.acquire("spare", ttl=30, timeout=0).confirm()


def test_a_clock_that_was_set_back_keeps_nobody_waiting(
    server: PostgresServer, store: LeaseStore
) -> None:
    with store.acquire("clock", ttl=TTL, timeout=5) as lease:
        pass
    execute(
        server,
        "UPDATE paperfleet_lease SET until = now() + interval '1 hour' WHERE name = 'clock'",
    )
    _, seconds = take_over(store, "clock", TTL, lease)
    assert TTL * 0.9 < seconds < TTL + 1


def test_a_clock_that_was_set_forward_makes_no_two_holders(
    server: PostgresServer, store: LeaseStore
) -> None:
    with open_lease_store(server.url) as one, one.acquire("fast", ttl=30, timeout=5) as lease:
        execute(
            server,
            "UPDATE paperfleet_lease SET until = now() - interval '1 hour' WHERE name = 'fast'",
        )
        with pytest.raises(LeaseTimeoutError):
            store.acquire("fast", ttl=30, timeout=0.3)
        lease.confirm()


def test_generations_survive_an_older_backup(server: PostgresServer, store: LeaseStore) -> None:
    with store.acquire("restored", ttl=TTL, timeout=5) as first:
        pass
    execute(server, "UPDATE paperfleet_lease SET generation = 1 WHERE name = 'restored'")
    with store.acquire("restored", ttl=TTL, timeout=5) as second:
        assert second.generation > first.generation


def test_generations_grow_though_the_clock_was_set_back(
    server: PostgresServer, store: LeaseStore
) -> None:
    with store.acquire("ahead", ttl=TTL, timeout=5):
        pass
    execute(server, "UPDATE paperfleet_lease SET generation = 9000000000000 WHERE name = 'ahead'")
    with store.acquire("ahead", ttl=TTL, timeout=5) as lease:
        assert lease.generation == 9_000_000_000_001


def test_a_pooler_is_recognised(server: PostgresServer) -> None:
    def other_process(answer: bytes) -> bytes:
        """Give another process id in BackendKeyData (message formats), as PgBouncer does."""
        head = b"K" + struct.pack("!i", 12)
        before, found, after = answer.partition(head)
        return before + found + b"\0\0\0\1" + after[4:] if found else answer

    with (
        tcp_proxy(server.port, other_process) as proxy,
        open_lease_store(server.url_at(proxy.port)) as store,
        pytest.raises(ConfigurationError, match="connection pooler"),
    ):
        store.acquire("pooled", ttl=TTL, timeout=0)


def test_a_user_who_may_not_make_the_table_is_told_how_it_is_made(server: PostgresServer) -> None:
    execute(server, "CREATE DATABASE bare")
    execute(server, "CREATE ROLE poor LOGIN PASSWORD 'p'")
    url = server.url.replace("/postgres", "/bare")
    poor = f"postgresql://poor:p@{url.partition('@')[2]}"
    with open_lease_store(poor) as store:
        with pytest.raises(ConfigurationError, match="CREATE TABLE IF NOT EXISTS") as error:
            store.acquire("name", ttl=TTL, timeout=0)
        with psycopg.connect(url, autocommit=True) as connection:
            made = error.value.hint.partition("by: ")[2].partition(";")[0]
            connection.execute(made.encode())
            connection.execute("GRANT SELECT, INSERT, UPDATE ON paperfleet_lease TO poor")
        store.acquire("name", ttl=TTL, timeout=0).confirm()


def test_no_server_is_an_error_without_secrets() -> None:
    with open_lease_store("postgresql://u:pa55word@127.0.0.1:1/x") as store:
        with pytest.raises(LeaseError, match="does not answer") as error:
            store.acquire("name", ttl=TTL, timeout=5)
        assert "pa55word" not in "".join(traceback.format_exception(error.value))


def test_a_wrong_password_is_shown_to_nobody(server: PostgresServer) -> None:
    with open_lease_store(server.url.replace("s3cret", "wrong-pa55word")) as store:
        with pytest.raises(LeaseError, match="authentication failed") as error:
            store.acquire("name", ttl=TTL, timeout=5)
        assert "pa55word" not in "".join(traceback.format_exception(error.value))


def test_connections_do_not_pile_up(server: PostgresServer, store: LeaseStore) -> None:
    for number in range(30):
        store.acquire(f"many {number}", ttl=30, timeout=0).release()
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'paperfleet lease'"
    assert execute(server, query) == [(1,)]
