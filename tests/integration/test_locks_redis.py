"""Leases in a Redis that is killed, started again, cut off, or that refuses."""

from __future__ import annotations

import os
import signal
import time
import traceback
from typing import TYPE_CHECKING

import pytest
import redis
from tests.integration.lease_kit import Loss, take_over
from tests.servers.redis_server import PASSWORD, RedisServer, redis_missing, redis_server
from tests.servers.tcp_proxy import tcp_proxy

from paperfleet.errors import ConfigurationError, LeaseError, LeaseLostError, LeaseTimeoutError
from paperfleet.locks.backends.redis import RedisLeases
from paperfleet.locks.registry import open_lease_store
from paperfleet.locks.store import Leases
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.locks.protocol import LeaseStore

TTL = 2.0


@pytest.fixture(scope="module", autouse=True)
def _redis() -> None:
    if reason := redis_missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        with open_lease_store(server.url) as store:
            store.acquire("a server gives out none at first", ttl=TTL, timeout=30).release()
        yield server


@pytest.fixture
def store(server: RedisServer) -> Iterator[LeaseStore]:
    with open_lease_store(server.url) as store:
        yield store


def short(url: str, timeout: float = 0.5) -> Leases:
    """Return a store that does not wait for long for an answer."""
    return Leases(RedisLeases(Secret(url), timeout=timeout))


def test_a_server_that_lost_everything_never_makes_two_holders() -> None:
    with redis_server() as server, open_lease_store(server.url) as one:
        lease = one.acquire("name", ttl=TTL, timeout=30)
        server.kill()
        server.start()
        with open_lease_store(server.url) as two:
            second, seconds = take_over(two, "name", TTL, lease)
            assert seconds > TTL * 0.5, "the first holder has had time to notice"
            second.confirm()


def test_a_server_that_has_just_started_says_why_it_gives_out_none() -> None:
    with (
        redis_server() as server,
        open_lease_store(server.url) as store,
        pytest.raises(LeaseTimeoutError, match="has just started"),
    ):
        store.acquire("name", ttl=30, timeout=0)


def test_a_durable_server_may_be_started_again_under_a_holder() -> None:
    loss = Loss()
    with redis_server(durable=True) as server, open_lease_store(server.url) as store:
        lease = store.acquire("name", ttl=3, timeout=30, on_lost=loss)
        server.kill()
        server.start()
        assert not loss.wait(2.5), "two heartbeats"
        lease.confirm()


def test_a_server_that_forgot_a_holder_tells_it(server: RedisServer, store: LeaseStore) -> None:
    loss = Loss()
    lease = store.acquire("forgotten", ttl=TTL, timeout=5, on_lost=loss)
    redis.Redis.from_url(server.url).delete("paperfleet:{forgotten}:lease")
    with pytest.raises(LeaseLostError, match="no longer knows"):
        lease.confirm()
    assert loss.wait()


def test_generations_survive_the_loss_of_all_data(server: RedisServer, store: LeaseStore) -> None:
    with store.acquire("flushed", ttl=TTL, timeout=5) as first:
        pass
    redis.Redis.from_url(server.url).flushall()
    with store.acquire("flushed", ttl=TTL, timeout=5) as second:
        assert second.generation > first.generation


@pytest.mark.parametrize("how", ["cut", "fall_silent"])
def test_a_holder_that_is_cut_off_loses_it(
    server: RedisServer, store: LeaseStore, how: str
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


def test_a_short_cut_is_ridden_out(server: RedisServer, store: LeaseStore) -> None:
    loss = Loss()
    with tcp_proxy(server.port) as proxy, short(server.url_at(proxy.port)) as one:
        lease = one.acquire("short cut", ttl=4, timeout=5, on_lost=loss)
        proxy.cut()
        time.sleep(2)
        proxy.heal()
        assert not loss.wait(3)
        lease.confirm()
        with pytest.raises(LeaseTimeoutError):
            store.acquire("short cut", ttl=4, timeout=0)


def test_a_lost_answer_does_not_lock_oneself_out(server: RedisServer) -> None:
    owner = "me"
    backend = RedisLeases(Secret(server.url))
    first = backend.take("asked twice", owner, 30)
    assert backend.take("asked twice", owner, 30) == first
    backend.close()


def test_a_server_that_hangs_is_given_up() -> None:
    with redis_server() as server, short(server.url) as store:
        process = server.pid
        os.kill(process, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(LeaseError, match="does not answer"):
                store.acquire("name", ttl=TTL, timeout=5)
            assert time.monotonic() - began < 5
        finally:
            os.kill(process, signal.SIGCONT)


def test_no_server_is_an_error_without_secrets() -> None:
    with open_lease_store("redis://:pa55word@127.0.0.1:1/0") as store:
        with pytest.raises(LeaseError, match=r"redis://127\.0\.0\.1:1/0 does not answer") as error:
            store.acquire("name", ttl=TTL, timeout=5)
        assert "pa55word" not in "".join(traceback.format_exception(error.value))


def test_a_wrong_password_is_not_waited_for(server: RedisServer) -> None:
    wrong = server.url.replace("s3cret", "wrong-pa55word")
    with open_lease_store(wrong) as store:
        with pytest.raises(ConfigurationError, match="refuses this user or password") as error:
            store.acquire("name", ttl=TTL, timeout=5)
        assert "pa55word" not in str(error.value)


def test_a_user_without_rights_is_told_which(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url)
    client.acl_setuser(
        "poor", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], commands=["+get"]
    )
    with (
        open_lease_store(server.url.replace("://:", "://poor:")) as store,
        pytest.raises(ConfigurationError, match="EVALSHA"),
    ):
        store.acquire("name", ttl=TTL, timeout=5)


def test_a_server_of_something_else_is_not_waited_for(
    server: RedisServer, store: LeaseStore
) -> None:
    redis.Redis.from_url(server.url).lpush("paperfleet:{a list}:lease", "x")
    with pytest.raises(ConfigurationError, match="cannot keep leases"):
        store.acquire("a list", ttl=TTL, timeout=5)
