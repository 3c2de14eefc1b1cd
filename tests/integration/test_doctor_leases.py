"""``paperfleet doctor`` on lease stores: Redis, PostgreSQL, a folder."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
import redis
from tests.integration.doctor_kit import Patient, Said
from tests.servers import postgres_server as postgres
from tests.servers import redis_server as redis_servers
from tests.servers.base import free_port
from tests.servers.postgres_server import PostgresServer, postgres_missing, postgres_server
from tests.servers.redis_server import RedisServer, redis_missing, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    (tmp_path / "target").mkdir()
    return Patient(tmp_path)


def asked(patient: Patient, address: str, *more: str, **environ: str) -> Said:
    target = patient.base / "target"
    return patient.asks(*more, patient.source, target, PAPERFLEET_LEASE=address, **environ)


# Redis


@pytest.fixture(scope="module")
def durable() -> Iterator[RedisServer]:
    if reason := redis_missing():
        pytest.skip(reason)
    with redis_server(durable=True) as server:
        yield server


def client_of(server: RedisServer) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def test_a_redis_is_well_and_nothing_is_written(patient: Patient, durable: RedisServer) -> None:
    with closing(client_of(durable)) as client:
        before = sorted(client.scan_iter())
        said = asked(patient, durable.url, "--write-probe")
        assert sorted(client.scan_iter()) == before
    assert (said.code, said.not_ok()) == (0, [])
    assert len([row for row in said.results if row["area"] == "lease"]) == 6
    assert redis_servers.PASSWORD not in said.printed


def test_a_redis_that_forgets(patient: Patient) -> None:
    if reason := redis_missing():
        pytest.skip(reason)
    with redis_server() as server:
        said = asked(patient, server.url)
        assert said.not_ok() == [("lease", "memory", "warning")]
        assert "appendonly" in said.text("lease", "memory")
        with closing(client_of(server)) as client:
            client.config_set("maxmemory", "100mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
        said = asked(patient, server.url)
    assert said.problems() == [("lease", "memory")]
    assert "allkeys-lru" in said.text("lease", "memory")
    assert "noeviction" in said.remedy("lease", "memory")


def test_a_wrong_password_of_redis(patient: Patient, durable: RedisServer) -> None:
    said = asked(patient, f"redis://:geheim-1@127.0.0.1:{durable.port}/0")
    assert said.problems() == [("lease", "server")]
    for check in ("scripts", "memory"):
        assert said.verdicts("lease", check) == ["not tried"]
    assert "geheim" not in said.printed


def test_a_redis_that_is_down(patient: Patient) -> None:
    said = asked(patient, f"redis://:geheim-1@127.0.0.1:{free_port()}/0")
    assert said.problems() == [("lease", "server")]
    assert "does not answer" in said.text("lease", "server")
    assert "geheim" not in said.printed


def test_a_redis_where_scripts_are_forbidden(patient: Patient, durable: RedisServer) -> None:
    with closing(client_of(durable)) as client:
        client.acl_setuser(
            "guest", enabled=True, passwords=["+geheim-2"], keys=["*"], commands=["+ping", "+info"]
        )
    said = asked(patient, f"redis://guest:geheim-2@127.0.0.1:{durable.port}/0")
    assert said.problems() == [("lease", "scripts")]
    assert "EVAL" in said.remedy("lease", "scripts")
    assert "geheim" not in said.printed


def test_a_replica(patient: Patient, durable: RedisServer) -> None:
    with redis_server() as server, closing(client_of(server)) as client:
        client.config_set("masterauth", redis_servers.PASSWORD)
        client.replicaof("127.0.0.1", durable.port)
        said = asked(patient, server.url)
    assert ("lease", "server") in said.problems()
    assert "takes no writes" in said.text("lease", "server")


def test_a_lease_that_is_too_long(patient: Patient, durable: RedisServer) -> None:
    said = asked(patient, durable.url, PAPERFLEET_LEASE_SECONDS="90")
    assert said.problems() == [("lease", "time")]
    assert "longest_ttl=90" in said.remedy("lease", "time")


# PostgreSQL


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    if reason := postgres_missing():
        pytest.skip(reason)
    with postgres_server() as server:
        yield server


def execute(server: PostgresServer, *queries: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = None
        for query in queries:
            cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor and cursor.description else []


def test_a_database_is_well_and_no_table_is_made(
    patient: Patient, database: PostgresServer
) -> None:
    said = asked(patient, database.url, "--write-probe")
    assert (said.code, said.not_ok()) == (0, [])
    assert "made at the first use" in said.text("lease", "server")
    assert execute(database, "SELECT to_regclass('paperfleet_lease')") == [(None,)]
    assert postgres.PASSWORD not in said.printed


def guest(server: PostgresServer, *rights: str) -> str:
    """Return the address of a user with these rights in a database of their own."""
    execute(
        server,
        "DROP DATABASE IF EXISTS guests",
        "DROP ROLE IF EXISTS guest",
        "CREATE ROLE guest LOGIN PASSWORD 'geheim-3'",
        "CREATE DATABASE guests",
    )
    with psycopg.connect(server.url.replace("/postgres", "/guests"), autocommit=True) as own:
        own.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        for right in rights:
            own.execute(right.encode())
    return f"postgresql://guest:geheim-3@127.0.0.1:{server.port}/guests"


def test_a_user_who_may_make_no_table(patient: Patient, database: PostgresServer) -> None:
    said = asked(patient, guest(database))
    assert said.problems() == [("lease", "server")]
    assert "may make none" in said.text("lease", "server")
    assert "CREATE TABLE" in said.remedy("lease", "server")
    assert "geheim" not in said.printed


TABLE = (
    "CREATE TABLE paperfleet_lease (name text, generation bigint, owner text, until timestamptz)"
)


def test_a_user_who_may_not_write_the_table(patient: Patient, database: PostgresServer) -> None:
    said = asked(patient, guest(database, TABLE, "GRANT SELECT ON paperfleet_lease TO guest"))
    assert said.problems() == [("lease", "server")]
    assert "may not INSERT and UPDATE" in said.text("lease", "server")


def test_a_table_that_is_there(patient: Patient, database: PostgresServer) -> None:
    grant = "GRANT SELECT, INSERT, UPDATE ON paperfleet_lease TO guest"
    said = asked(patient, guest(database, TABLE, grant))
    assert (said.code, said.not_ok()) == (0, [])


def test_a_wrong_password_of_the_database(patient: Patient, database: PostgresServer) -> None:
    guest(database)
    said = asked(patient, f"postgresql://guest:geheim-4@127.0.0.1:{database.port}/guests")
    assert said.problems() == [("lease", "server")]
    assert "password authentication failed" in said.text("lease", "server")
    assert "geheim" not in said.printed


def test_a_database_that_is_down(patient: Patient) -> None:
    said = asked(patient, f"postgresql://guest:geheim-4@127.0.0.1:{free_port()}/guests")
    assert said.problems() == [("lease", "server")]
    assert "does not answer" in said.text("lease", "server")


# a folder, and what is none


def test_a_folder_for_leases(patient: Patient) -> None:
    folder = patient.base / "leases"
    assert asked(patient, f"file:{folder}").not_ok() == []
    assert not folder.exists(), "it is not made"
    folder.mkdir()
    assert asked(patient, f"file:{folder}").not_ok() == []
    folder.rmdir()
    folder.write_text("x")
    assert asked(patient, f"file:{folder}").problems() == [("lease", "folder")]


@pytest.mark.parametrize("address", ["nothing:x", "redis://:geheim#5@host/0", "redis:geheim"])
def test_an_address_that_is_none(address: str, patient: Patient) -> None:
    said = asked(patient, address)
    assert len(said.problems()) == 1
    assert said.code == 1
    assert "geheim" not in said.printed
