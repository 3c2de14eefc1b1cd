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
from tests.servers.base import HOST
from tests.servers.redis_server import PASSWORD, RedisServer, redis_missing, redis_server
from tests.servers.tcp_proxy import tcp_proxy
from tests.wide import first_of

from paperfleet.errors import ConfigurationError, LeaseError, LeaseLostError, LeaseTimeoutError
from paperfleet.locks.backends.redis import RedisLeases
from paperfleet.locks.registry import open_lease_store
from paperfleet.locks.store import Leases
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.locks.protocol import LeaseStore

TTL = 2.0


@pytest.fixture(scope="module", autouse=True)
def _redis() -> None:
    if reason := redis_missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def store(server: RedisServer) -> Iterator[LeaseStore]:
    with open_lease_store(server.url) as store:
        yield store


def longest(server: RedisServer, seconds: float) -> str:
    return f"{server.url}?longest_ttl={seconds:g}"


def wait_until(found: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def short(url: str, timeout: float = 0.5) -> Leases:
    """Return a store that does not wait for long for an answer."""
    return Leases(RedisLeases(Secret(url), timeout=timeout))


def start_again(server: RedisServer) -> None:
    server.kill()
    server.start()


def flush(server: RedisServer) -> None:
    redis.Redis.from_url(server.url).flushall()


def flush_the_database(server: RedisServer) -> None:
    redis.Redis.from_url(server.url).flushdb()


@pytest.mark.parametrize("lose", first_of([start_again, flush, flush_the_database]))
def test_a_server_that_lost_everything_never_makes_two_holders(
    lose: Callable[[RedisServer], None],
) -> None:
    """Also when the next one asks for a shorter time than the holder was given."""
    with redis_server() as server, open_lease_store(longest(server, 4)) as one:
        lease = one.acquire("name", ttl=4, timeout=30)
        lose(server)
        with open_lease_store(longest(server, 4)) as two:
            second, _ = take_over(two, "name", 1, lease)
            second.confirm()


def test_a_replica_that_takes_over_never_makes_two_holders() -> None:
    """It was told of no holder: here because it let go of the server before there was one."""
    with (
        redis_server() as old,
        redis_server(new=True) as new,
        open_lease_store(longest(old, 3)) as one,
    ):
        replica = redis.Redis.from_url(new.url)
        replica.config_set("masterauth", PASSWORD)
        replica.replicaof(HOST, old.port)
        wait_until(
            lambda: replica.get("paperfleet:memory") is not None, "the replica knows the note"
        )
        replica.replicaof("NO", "ONE")
        lease = one.acquire("name", ttl=3, timeout=30)
        old.kill()
        with open_lease_store(longest(new, 3)) as two:
            second, _ = take_over(two, "name", 1, lease)
            second.confirm()


def test_a_server_that_has_just_started_says_why_it_gives_out_none() -> None:
    with (
        redis_server(new=True) as server,
        open_lease_store(longest(server, 30)) as store,
        pytest.raises(LeaseTimeoutError, match=r"has just started, or lost its data.* in 30 s"),
    ):
        store.acquire("name", ttl=1, timeout=0)


def test_no_lease_is_longer_than_what_a_lost_memory_is_waited_for(server: RedisServer) -> None:
    with open_lease_store(longest(server, 5)) as store:
        with pytest.raises(ConfigurationError, match="longest_ttl=6"):
            store.acquire("too long", ttl=6, timeout=0)
        store.acquire("as long as can be", ttl=5, timeout=0).release()


@pytest.mark.parametrize("value", ["0", "-1", "soon", "inf", "nan", ""])
def test_a_longest_time_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="longest_ttl=60") as error:
        open_lease_store(f"redis://:pa55word@{HOST}:1/0?longest_ttl={value}")
    assert "pa55word" not in str(error.value)


def test_other_options_of_the_address_reach_the_client(server: RedisServer) -> None:
    address = f"{server.url}?longest_ttl=5&client_name=a%26b"
    with open_lease_store(address) as store, store.acquire("optioned", ttl=5, timeout=5):
        names = {each["name"] for each in redis.Redis.from_url(server.url).client_list()}
    assert "a&b" in names


def test_a_server_that_may_drop_leases_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with redis_server() as server, open_lease_store(server.url) as store:
        client = redis.Redis.from_url(server.url)
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "100mb")
        for name in ("one", "two"):
            store.acquire(name, ttl=TTL, timeout=5).release()
    warnings = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "allkeys-lru" in warnings[0]
    assert PASSWORD not in caplog.text


def test_a_durable_server_may_be_started_again_under_a_holder() -> None:
    loss = Loss()
    with redis_server(durable=True) as server, open_lease_store(longest(server, 3)) as store:
        lease = store.acquire("name", ttl=3, timeout=30, on_lost=loss)
        start_again(server)
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
    flush(server)
    server.settle()
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
