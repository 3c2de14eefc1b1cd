"""``paperfleet doctor`` on a host of a fleet: real PostgreSQL and Redis; S3 by moto."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from tests.integration.doctor_kit import Patient, Said
from tests.paperless.children import SMALL
from tests.paperless.delivery_kit import ON_SERVERS, Fleet
from tests.servers.base import free_port
from tests.servers.moto_server import moto_server
from tests.servers.postgres_server import PASSWORD as OF_DATABASE
from tests.servers.postgres_server import postgres_server
from tests.servers.redis_server import PASSWORD as OF_REDIS
from tests.servers.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = ON_SERVERS
SECRET = "of host one and nobody else"
AREA = "paperless-ngx"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with postgres_server() as postgres, redis_server(durable=True) as redis, moto_server() as s3:
        fleet = Fleet(postgres, redis, s3, tmp_path_factory.mktemp("doctor"))
        manage(fleet, "migrate", "--verbosity", "0", PAPERFLEET_FLEET="")
        yield fleet


@pytest.fixture
def fleet(servers: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    yield Fleet(servers.postgres, servers.redis, servers.s3, tmp_path)
    servers.clear()
    servers.ask("DELETE FROM paperfleet_installation")
    for key in kept(servers)[1]:
        servers.s3.client.delete_object(Bucket=servers.s3.bucket, Key=key)


def manage(fleet: Fleet, *command: str, code: int = 0, **more: str) -> str:
    environment = fleet.host("one").environment(**{"PAPERLESS_SECRET_KEY": SECRET} | more)
    done = SMALL.run(["manage.py", *command], environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def asked(fleet: Fleet, *more: str, **environ: str) -> Said:
    patient = Patient(fleet.folder / "patient")
    host = fleet.host("one").environment(
        **{"PAPERLESS_SECRET_KEY": SECRET, "PAPERLESS_SRC": str(SMALL.source)} | environ
    )
    patient.environ = host | {"PAPERLESS_PYTHON": sys.executable, "HOME": str(fleet.folder)}
    said = patient.asks(*more)
    for secret in (SECRET, OF_DATABASE, OF_REDIS.replace(" ", "%20"), fleet.s3.secret_key):
        assert secret not in said.printed
    return said


def kept(fleet: Fleet) -> tuple[object, list[str]]:
    """Return all that the database, Redis' own keys aside, and the bucket have."""
    rows = fleet.ask("SELECT * FROM paperfleet_installation")
    found = fleet.s3.client.list_objects_v2(Bucket=fleet.s3.bucket).get("Contents", [])
    return rows, sorted(one["Key"] for one in found)


@pytest.mark.parametrize("more", [(), ("--write-probe",)])
def test_a_new_installation_is_well_and_nothing_is_claimed(
    more: tuple[str, ...], fleet: Fleet
) -> None:
    fleet.ask("DELETE FROM paperfleet_installation")
    before = kept(fleet)
    said = asked(fleet, *more)
    assert said.problems() == []
    assert said.code == 0
    assert said.text(AREA, "app").startswith("version, seams, storage and fleet")
    assert said.verdicts(AREA, "manage.py check") == (["ok"] if more else ["not tried"])
    assert kept(fleet) == before, "no storage is claimed, and no fleet has agreed on anything"
    assert set(said.verdicts("lease of roles", "server")) == {"ok"}
    manage(fleet, "check")
    assert kept(fleet) != before, "that does"


@pytest.fixture
def agreed(fleet: Fleet) -> Fleet:
    """Return a fleet whose first host has agreed with itself."""
    manage(fleet, "check")
    return fleet


def test_a_host_with_another_key_or_prefix(agreed: Fleet) -> None:
    before = kept(agreed)
    said = asked(
        agreed, PAPERLESS_SECRET_KEY="another key than theirs", PAPERLESS_REDIS_PREFIX="other"
    )
    assert said.code == 1
    text = said.text(AREA, "app")
    assert "the secret key (PAPERLESS_SECRET_KEY) is not that of the fleet" in text
    assert "here 'other', there 'pre '" in text
    assert said.verdicts(AREA, "app") == ["problem", "problem"]
    assert "Give all hosts the same" in said.remedy(AREA, "app")
    assert "another key than theirs" not in said.printed
    assert kept(agreed) == before


def test_a_storage_of_another_database(agreed: Fleet) -> None:
    agreed.ask("UPDATE paperfleet_installation SET identity = gen_random_uuid()")
    said = asked(agreed)
    assert (AREA, "app") in said.problems()
    assert "belongs to another database" in said.text(AREA, "app")


def test_more_connections_than_there_are(agreed: Fleet) -> None:
    said = asked(agreed, PAPERLESS_TASK_WORKERS="400")
    assert (AREA, "app") in said.problems()
    assert "max_connections" in said.remedy(AREA, "app")


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("PAPERLESS_DBPORT", "{free}", "database"),
        ("PAPERLESS_REDIS", "redis://:geheim-1@127.0.0.1:{free}/0", "Redis"),
        ("PAPERLESS_REDIS", "redis://:geheim-1@127.0.0.1:{redis}/0", "Redis"),
        ("PAPERLESS_OCR_LANGUAGES", "klingon", "OCR languages"),
    ],
)
def test_what_is_down_or_missing(variable: str, value: str, check: str, fleet: Fleet) -> None:
    said = asked(fleet, **{variable: value.format(redis=fleet.redis.port, free=free_port())})
    assert (AREA, check) in said.problems()
    assert "geheim" not in said.printed
    if check != "OCR languages":
        assert said.verdicts(AREA, "app") == ["not tried"]


def test_more_threads_than_processors(fleet: Fleet) -> None:
    said = asked(fleet, PAPERLESS_TASK_WORKERS="20", PAPERLESS_THREADS_PER_WORKER="50")
    assert said.verdicts(AREA, "threads") == ["warning"]
    assert "20 workers of 50 threads" in said.text(AREA, "threads")


def test_no_paperless(fleet: Fleet) -> None:
    said = asked(fleet, PAPERLESS_SRC=str(fleet.folder))
    assert (AREA, "program") in said.problems()
    assert said.verdicts(AREA, "app") == ["not tried"]


def test_without_the_app(fleet: Fleet) -> None:
    said = asked(fleet, PAPERLESS_APPS="", PAPERFLEET_FLEET="")
    assert said.verdicts(AREA, "app") == ["not tried"]
    assert "does not load paperfleet.paperless" in said.text(AREA, "app")


def test_wrong_settings(fleet: Fleet) -> None:
    said = asked(fleet, PAPERLESS_DBPASS_FILE="/nowhere")
    assert (AREA, "settings") in said.problems()
    assert "PAPERLESS_DBPASS_FILE" in said.text(AREA, "settings")


def test_a_folder_for_documents_is_not_made(fleet: Fleet) -> None:
    folder = fleet.folder / "documents elsewhere"
    local = {
        "PAPERLESS_DOCUMENT_STORAGE_BACKEND": str(folder),
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": "{}",
    }
    said = asked(fleet, PAPERFLEET_FLEET="", **local)
    assert not folder.exists()
    assert set(said.verdicts(AREA, "app")) <= {"problem", "unknown"}, said.text(AREA, "app")


def test_settings_that_the_app_refuses(fleet: Fleet) -> None:
    said = asked(fleet, PAPERLESS_DOCUMENT_STORAGE_BACKEND="paperfleet.NoSuchBackend")
    assert (AREA, "app") in said.problems()
    assert "NoSuchBackend" in said.text(AREA, "app")
