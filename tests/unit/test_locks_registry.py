"""Addresses of lease stores: what they mean, and what no message shows."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import ConfigurationError
from paperfleet.locks.registry import open_lease_store
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "pa55word"


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("memory:", "memory"),
        (f"redis://:{PASSWORD}@cache.example:6380/3", "redis://cache.example:6380/3"),
        (f"rediss://user:{PASSWORD}@cache.example", "rediss://cache.example"),
        (f"redis://cache.example/0?password={PASSWORD}", "redis://cache.example/0"),
        (f"unix://:{PASSWORD}@/run/redis.sock", "unix:///run/redis.sock"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
        (f"postgresql://user:{PASSWORD}@db.example/paperless", "postgresql://db.example/paperless"),
        (f"postgres://user:{PASSWORD}@[::1]:5432/x?sslmode=require", "postgres://[::1]:5432/x"),
        (f"postgresql://u:{PASSWORD}@one:5432,two:5433/x", "postgresql://one:5432,two:5433/x"),
        (f"postgresql:///x?host=/run/postgresql&password={PASSWORD}", "postgresql:///x"),
    ],
)
def test_an_address_opens_a_store_that_hides_its_password(address: str, label: str) -> None:
    for given in (address, Secret(address)):
        with open_lease_store(given) as store:
            assert store.label == label
            assert PASSWORD not in repr(store)


def test_a_folder_is_made(tmp_path: Path) -> None:
    with open_lease_store(f"file:{tmp_path}/a%20b/leases") as store:
        assert store.label == str(tmp_path / "a b" / "leases")
        with store.acquire("x", ttl=30, timeout=0) as lease:
            lease.confirm()


@pytest.mark.parametrize(
    "address",
    [
        "",
        PASSWORD,
        f"/run/{PASSWORD}",
        f"mysql://u:{PASSWORD}@host/db",
        f"redis://:{PASSWORD}#x@host",
        f"redis://:{PASSWORD}/x@host",
        f"redis://:1/{PASSWORD}@host",
        f"redis://:1?{PASSWORD}@host",
        f"redis://:{PASSWORD}",
        f"redis://host:{PASSWORD}/0",
        f"redis://host/0?{PASSWORD}=1",
        f"redis://host/0?socket_timeout={PASSWORD}",
        f"redis://[{PASSWORD}/0",
        f"postgresql://host/db?{PASSWORD}=1",
        f"postgresql://host/db?nonsense={PASSWORD}",
        f"postgresql://u:%zz{PASSWORD}@host/db",
        f"file:relative/{PASSWORD}",
        f"file://host/{PASSWORD}",
        f"memory:{PASSWORD}",
        f"memory://{PASSWORD}",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_it(address: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        open_lease_store(address)
    assert refusal.value.hint
    error: BaseException | None = refusal.value
    while error is not None:
        assert PASSWORD not in str(error)
        shown, error = (
            error,
            error.__cause__ or (None if error.__suppress_context__ else error.__context__),
        )
        assert PASSWORD not in repr(shown)


@pytest.mark.parametrize(
    ("address", "package"), [("redis://host", "redis"), ("postgresql://host/x", "psycopg")]
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, address: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match="pip install 'paperfleet") as refusal:
        open_lease_store(address)
    assert package in str(refusal.value)


def test_stores_that_need_nothing_are_there_without_the_extras() -> None:
    registry = importlib.import_module("paperfleet.locks.registry")
    assert "redis" not in vars(registry)
    assert "psycopg" not in vars(registry)
