"""What a host of a fleet refuses at its start, on real PostgreSQL and Redis; S3 by moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.paperless.children import SMALL
from tests.paperless.delivery_kit import ON_SERVERS, Fleet, wait_for
from tests.servers.moto_server import moto_server
from tests.servers.postgres_server import postgres_server
from tests.servers.redis_server import redis_server
from tests.wide import WIDE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = ON_SERVERS
SECRET = "of host one and nobody else"
OFF: dict[str, Any] = {"PAPERFLEET_FLEET": ""}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Return a fleet of which ``one`` was the first host."""
    with postgres_server() as postgres, redis_server() as redis, moto_server() as s3:
        fleet = Fleet(postgres, redis, s3, tmp_path_factory.mktemp("starts"))
        manage(fleet, "one", "migrate", "--verbosity", "0")
        yield fleet


@pytest.fixture
def fleet(servers: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    ((agreed,),) = servers.ask("SELECT agreed FROM paperfleet_installation")
    yield Fleet(servers.postgres, servers.redis, servers.s3, tmp_path)
    servers.clear()
    servers.ask("UPDATE paperfleet_installation SET agreed = %s", agreed)


def manage(fleet: Fleet, host: str, *command: str, code: int = 0, **more: str) -> str:
    environment = fleet.host(host).environment(**{"PAPERLESS_SECRET_KEY": SECRET} | more)
    done = SMALL.run(["manage.py", *command], environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def refused(fleet: Fleet, **more: str) -> str:
    """Return with what words a second host is refused."""
    told = manage(fleet, "two", "check", code=1, **more)
    assert "paperfleet.E003" in told
    return told


def test_the_first_migrate_of_a_fleet_says_what_all_must_have_alike(fleet: Fleet) -> None:
    ((text,),) = fleet.ask("SELECT agreed FROM paperfleet_installation")
    assert json.loads(text)["the prefix in Redis"]["value"] == "pre "
    assert SECRET not in text
    manage(fleet, "two", "check")


DIFFERENT = {
    "PAPERLESS_SECRET_KEY": ("another", "the secret key (PAPERLESS_SECRET_KEY) is not that of"),
    "PAPERLESS_REDIS_PREFIX": ("other", "here 'other', there 'pre '"),
    "PAPERFLEET_MEDIA_LOCK": ("postgres", "here 'postgres', there 'redis'"),
    "PAPERFLEET_MEDIA_LOCK_SECONDS": ("61", "here '61 s', there '60 s'"),
    "PAPERFLEET_ROLE_LEASE": ("redis", "here 'redis', there 'postgres'"),
    "PAPERFLEET_ROLE_LEASE_SECONDS": ("9", "here '9 s', there '5 s'"),
    "PAPERFLEET_TASK_SILENCE_SECONDS": ("300", "here '300 s', there '15 s'"),
    "PAPERLESS_EMPTY_TRASH_DIR": ("/trash", "here 'its originals', there ''"),
}


def test_a_host_with_other_settings_than_the_fleet_is_refused(fleet: Fleet) -> None:
    told = refused(fleet, **{name: value for name, (value, _) in DIFFERENT.items()})
    assert told.count("paperfleet.E003") == len(DIFFERENT)
    for variable, (_, text) in DIFFERENT.items():
        assert variable in told
        assert text in told
    assert "paperfleet_fleet --accept" in told
    assert SECRET not in told


def test_a_process_that_no_check_comes_before_is_refused_too(fleet: Fleet) -> None:
    asks = "from paperfleet.paperless.activation import documents; documents.require_usable()"
    told = fleet.host("two").python(asks, fails=True, PAPERLESS_SECRET_KEY="another")
    assert "the secret key (PAPERLESS_SECRET_KEY) is not that of the fleet" in told


ALONE = {
    "PAPERLESS_CACHE_BACKEND": ("django.core.cache.backends.locmem.LocMemCache", "is LocMemCache"),
    "PAPERLESS_CHANNELS_BACKEND": ("channels.layers.InMemoryChannelLayer", "channel layer"),
    "PAPERFLEET_MEDIA_LOCK": ("file", "PAPERFLEET_MEDIA_LOCK keeps out"),
    "PAPERFLEET_ROLE_LEASE": ("file:/tmp/leases", "PAPERFLEET_ROLE_LEASE keeps out"),
    "PAPERLESS_TASK_WORKERS": ("500", "worker 500 times (1 + 2) + 1"),
    "PAPERFLEET_METRICS_PORT": ("9464", "web 1 times 2 + 1"),
}


def test_what_reaches_one_host_alone_and_too_many_connections_are_refused(fleet: Fleet) -> None:
    told = refused(fleet, **{name: value for name, (value, _) in ALONE.items()})
    for _, text in ALONE.values():
        assert text in told


MARKS = """
import time
import django; django.setup()
from celery import current_app
from paperfleet.paperless.delivery import onebroker
while True:
    onebroker.tell(current_app)
    time.sleep(1)
"""


@WIDE
def test_another_redis_than_the_scheduler_s_is_refused(fleet: Fleet) -> None:
    here = fleet.redis.url
    name = here.replace("127.0.0.1", "localhost")
    assert name != here
    with SMALL.start(["-c", MARKS], fleet.host("one").environment()), redis_server() as other:
        wait_for("a mark", lambda: fleet.broker().get("pre paperfleet-fleet"))
        for another in (other.url, f"{here.rpartition('/')[0]}/1"):  # one more database of it
            told = refused(fleet, PAPERLESS_REDIS=another)
            assert "the Redis of this process is not that of the scheduler" in told
            assert "PAPERLESS_REDIS" in told
        manage(fleet, "two", "check", PAPERLESS_REDIS=name)
        fleet.broker().flushall()
        manage(fleet, "two", "check")
    fleet.broker().flushall()
    fleet.ask("UPDATE paperfleet_installation SET broker_marked = now() - interval '1 minute'")
    manage(fleet, "two", "check")  # nobody knows


@WIDE
def test_consumer_and_scheduler_of_a_fleet_start_with_their_lease_alone(fleet: Fleet) -> None:
    told = manage(fleet, "one", "document_consumer", code=1)
    assert "Start it by `paperfleet run consumer`" in told
    beats = "from celery.signals import beat_init; beat_init.send(None)"
    told = fleet.host("one").python(beats, fails=True, PAPERLESS_SECRET_KEY=SECRET)
    assert "Start it by `paperfleet run scheduler`" in told


@WIDE
def test_a_container_of_one_role_counts_the_connections_of_that_alone(fleet: Fleet) -> None:
    counts: dict[str, Any] = {"PAPERLESS_TASK_WORKERS": "500", "PAPERFLEET_STARTING": "web"}
    manage(fleet, "two", "check", **counts)


@WIDE
def test_a_newer_schema_is_refused_and_an_older_one_is_known(fleet: Fleet) -> None:
    assert "of this version" in manage(fleet, "one", "paperfleet_schema")
    fleet.ask(
        "INSERT INTO django_migrations (app, name, applied)"
        " VALUES ('documents', '0099_newer', now())"
    )
    try:
        told = manage(fleet, "one", "paperfleet_schema", code=3)
        assert "documents.0099_newer" in told
        assert "documents.0099_newer" in refused(fleet)
        fleet.ask("UPDATE django_migrations SET id = -1 WHERE name = '0099_newer'")
        manage(fleet, "one", "paperfleet_schema")  # one that was thrown away since
    finally:
        fleet.ask("DELETE FROM django_migrations WHERE name = '0099_newer'")
    last = (
        "SELECT id, name FROM django_migrations WHERE app = 'paperfleet' ORDER BY id DESC LIMIT 1"
    )
    ((number, name),) = fleet.ask(last)
    fleet.ask("UPDATE django_migrations SET name = 'none', app = 'none' WHERE id = %s", number)
    try:
        assert name in manage(fleet, "one", "paperfleet_schema", code=4)
    finally:
        restored = "UPDATE django_migrations SET name = %s, app = 'paperfleet' WHERE id = %s"
        fleet.ask(restored, name, number)


@WIDE
def test_a_setting_is_changed_for_all_on_purpose(fleet: Fleet) -> None:
    told = manage(fleet, "one", "paperfleet_fleet", code=1, PAPERLESS_REDIS_PREFIX="new ")
    assert "'pre '" in told
    assert "this process has 'new '" in told
    manage(fleet, "one", "paperfleet_fleet", "--accept", PAPERLESS_REDIS_PREFIX="new ")
    manage(fleet, "two", "check", PAPERLESS_REDIS_PREFIX="new ")
    assert "here 'pre ', there 'new '" in refused(fleet)


@WIDE
def test_neither_key_nor_storage_change_and_no_fleet_ends_while_work_waits(fleet: Fleet) -> None:
    fleet.host("one").upload("a.pdf", "content of a", PAPERLESS_SECRET_KEY=SECRET)
    told = refused(fleet, **OFF)
    assert "this process has PAPERFLEET_FLEET off" in told
    assert "1 task waits, runs or has failed" in told
    another: dict[str, Any] = {"PAPERLESS_SECRET_KEY": "another"}
    for more in (OFF, another):
        told = manage(fleet, "one", "paperfleet_fleet", "--accept", code=1, **more)
        assert "1 task waits, runs or has failed" in told
        assert "paperfleet_tasks" in told
    source = ["--source-backend=file:///none"]
    told = manage(fleet, "one", "migrate_storage", *source, code=1)
    assert "1 task waits, runs or has failed" in told
    fleet.clear()
    manage(fleet, "one", "paperfleet_fleet", "--accept", **OFF)
    manage(fleet, "two", "check", **OFF)


@WIDE
def test_the_check_of_documents_tells_of_the_fleet(fleet: Fleet) -> None:
    told = manage(fleet, "one", "paperfleet_check")
    assert "this host may open" in told
    assert "for all hosts (max_connections" in told
    told = manage(fleet, "two", "paperfleet_check", code=1, PAPERLESS_SECRET_KEY="another")
    assert "fault: the secret key" in told


@WIDE
def test_an_llm_index_in_a_fleet_deserves_a_word(fleet: Fleet) -> None:
    assert "the LLM index is on" in manage(fleet, "one", "check", PAPERLESS_AI_ENABLED="true")
