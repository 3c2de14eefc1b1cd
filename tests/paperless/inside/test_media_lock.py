"""The media lock, in files, in a Redis and in a PostgreSQL: one at a time, and never too late."""

from __future__ import annotations

import importlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core import management
from filelock import FileLock
from tests.paperless.inside.stores import store

from paperfleet.errors import ConfigurationError, LeaseError, LeaseLostError, LeaseTimeoutError
from paperfleet.paperless.documents import looks, medialock
from paperfleet.paperless.documents.medialock import LeaseFactory, MediaLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping
    from pathlib import Path

KINDS = {
    "file": "file",
    "redis": os.environ.get("PAPERFLEET_TEST_REDIS", ""),
    "postgres": os.environ.get("PAPERFLEET_TEST_POSTGRES", ""),
}


@pytest.fixture(params=KINDS)
def locks(request: pytest.FixtureRequest) -> Iterator[LeaseFactory]:
    address = KINDS[request.param]
    if not address:
        pytest.skip(f"there is no server for {request.param}")
    yield LeaseFactory(FileLock, address, 2.0)
    assert medialock._held.leases == []


def test_it_is_held_within_the_block(locks: LeaseFactory) -> None:
    with locks(settings.MEDIA_LOCK) as lock:
        assert isinstance(lock, MediaLock)
        assert lock.is_locked
        medialock.require_held()
    assert not lock.is_locked


def test_installations_on_one_server_have_locks_of_their_own(
    locks: LeaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locks(settings.MEDIA_LOCK):

        def other() -> object:
            return locks(settings.MEDIA_LOCK).acquire(timeout=0)

        assert isinstance(in_thread(other)[0], LeaseTimeoutError)
        monkeypatch.setenv("PAPERLESS_REDIS_PREFIX", "other ")
        (lock,) = in_thread(other)
        assert isinstance(lock, MediaLock)
        lock.release()


def test_a_thread_enters_again(locks: LeaseFactory) -> None:
    with locks(settings.MEDIA_LOCK), locks(settings.MEDIA_LOCK) as inner:
        with inner:
            assert inner.is_locked
        assert inner.is_locked
    with locks(settings.MEDIA_LOCK):
        pass


def in_thread(work: Any) -> list[Any]:  # noqa: ANN401  # any function
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001  # told to the test
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return results


def test_another_waits_its_time_and_no_longer(locks: LeaseFactory) -> None:
    def wait() -> float:
        began = time.monotonic()
        with pytest.raises(LeaseTimeoutError) as caught:
            locks(settings.MEDIA_LOCK).acquire(timeout=0.3)
        assert isinstance(caught.value, TimeoutError)
        return time.monotonic() - began

    with locks(settings.MEDIA_LOCK):
        waited = in_thread(wait)[0]
    assert isinstance(waited, float)
    assert 0.2 < waited < 5


def test_the_next_one_gets_it_when_it_is_free(locks: LeaseFactory) -> None:
    order: list[str] = []

    def other() -> None:
        with locks(settings.MEDIA_LOCK):
            order.append("second")

    with locks(settings.MEDIA_LOCK):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


def test_it_is_renewed_while_it_is_held(locks: LeaseFactory, originals: Path) -> None:
    with locks(settings.MEDIA_LOCK):
        time.sleep(2.5)
        (originals / "late.pdf").write_bytes(b"x")
        assert isinstance(
            in_thread(lambda: locks(settings.MEDIA_LOCK).acquire(timeout=0))[0], TimeoutError
        )


def test_who_has_lost_it_writes_nothing(
    locks: LeaseFactory, originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    stored["originals/a.pdf"] = b"A"
    with locks(settings.MEDIA_LOCK) as lock:
        lock._mine[0]._kept.hold._lost = "it was taken over"
        before = dict(stored)
        writes: list[Callable[[], object]] = [
            lambda: (originals / "b.pdf").write_bytes(b"x"),
            lambda: (originals / "a.pdf").rename(originals / "c.pdf"),
            (originals / "a.pdf").unlink,
        ]
        for write in writes:
            with pytest.raises(LeaseLostError) as caught:
                write()
            assert isinstance(caught.value, OSError)
        assert (originals / "a.pdf").read_bytes() == b"A"
        assert dict(stored) == before
    (originals / "b.pdf").write_bytes(b"x")


def test_the_lock_forgets_what_was_looked_at(
    locks: LeaseFactory, originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    with looks.remembering():
        assert not (originals / "a.pdf").exists()
        stored["originals/a.pdf"] = b"of another host"
        with locks(settings.MEDIA_LOCK):
            assert (originals / "a.pdf").exists()


def test_a_server_that_is_away_is_an_error_of_the_system() -> None:
    locks = LeaseFactory(FileLock, "redis://127.0.0.1:1/0", 2.0)
    with pytest.raises(LeaseError) as caught:
        locks(settings.MEDIA_LOCK).acquire(timeout=0)
    assert isinstance(caught.value, OSError)
    assert store.calls == []


def test_a_lease_may_last_as_long_as_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    redis = KINDS["redis"]
    if not redis:
        pytest.skip("no redis-server here")
    monkeypatch.setenv("PAPERLESS_REDIS", redis)
    lock = LeaseFactory(FileLock, "redis", 90.0)(settings.MEDIA_LOCK)
    lock.acquire(timeout=0)
    lock.release()


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERLESS_REDIS", "redis://:geheim@cache:6379/3")
    assert medialock.address_of("redis").reveal() == "redis://:geheim@cache:6379/3"
    assert "geheim" not in repr(medialock.address_of("redis"))
    monkeypatch.setenv("PAPERLESS_REDIS", "redis+socket:///run/redis.sock?virtual_host=3")
    assert medialock.address_of("redis").reveal() == "unix:///run/redis.sock?db=3"
    assert medialock.address_of("file").reveal().startswith("file:/")
    assert medialock.address_of("memory:").reveal() == "memory:"
    with pytest.raises(ConfigurationError, match="There are: file, redis, postgres"):
        medialock.address_of("zookeeper")
    with pytest.raises(ConfigurationError, match="another database"):
        medialock.address_of("postgres")
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "paper/less",
        "USER": "u@x",
        "PASSWORD": "p#:/",
        "HOST": "db",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require", "sslrootcert": "/ca.pem", "pool": {"max_size": 3}},
    }
    monkeypatch.setitem(settings.DATABASES, "default", database)
    address = medialock.address_of("postgres").reveal()
    assert (
        address
        == "postgresql://u%40x:p%23%3A%2F@db:5433/paper%2Fless?sslmode=require&sslrootcert=%2Fca.pem"
    )


def test_every_module_has_the_same_lock() -> None:
    with importlib.import_module("documents.consumer").FileLock(settings.MEDIA_LOCK):

        def other() -> object:
            management.load_command_class("documents", "document_exporter")
            module = importlib.import_module("documents.management.commands.document_exporter")
            return module.FileLock(settings.MEDIA_LOCK).acquire(timeout=0.1)

        assert isinstance(in_thread(other)[0], TimeoutError)
