"""Runs each module of ``inside`` in a child: on the small project, and on a paperless-ngx."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from tests.paperless.children import INSIDE, SMALL, Site, migrated, pytest_in, real_site
from tests.servers.postgres_server import postgres_missing, postgres_server
from tests.servers.redis_server import redis_missing, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = sorted(path.stem for path in INSIDE.glob("test_*.py"))
NO_TESTS = 5
VARIABLES = {"test_outbox": {"PAPERFLEET_EVENTS": "true"}}
Site_and_data = tuple[Site, "Path"]


@pytest.fixture(scope="session", params=["project", "paperless-ngx"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site_and_data:
    """Return where the tests run, and a database with tables."""
    found = SMALL if request.param == "project" else real_site()
    if found is None:
        pytest.skip("PAPERLESS_SRC names no checkout of paperless-ngx")
    return found, migrated(found, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def lease_servers() -> Iterator[dict[str, str]]:
    """Run a Redis and a PostgreSQL where that is possible; return their addresses."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        addresses = {}
        if not redis_missing():
            addresses["PAPERFLEET_TEST_REDIS"] = stack.enter_context(redis_server()).url
        if not postgres_missing():
            addresses["PAPERFLEET_TEST_POSTGRES"] = stack.enter_context(postgres_server()).url
        yield addresses


@pytest.mark.timeout(700)
@pytest.mark.parametrize("module", MODULES)
def test_inside(
    module: str, site: Site_and_data, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where, data = site
    more = request.getfixturevalue("lease_servers") if module == "test_media_lock" else {}
    done = pytest_in(where, module, data, tmp_path, **more, **VARIABLES.get(module, {}))
    if done.returncode == NO_TESTS:
        pytest.skip(f"{module} is not for {where.name}")
    if done.returncode:
        pytest.fail(f"{where.name}: {module}\n{done.stdout}{done.stderr}", pytrace=False)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("module", ["test_outbox", "test_delivery_machine", "test_written"])
def test_on_postgresql(module: str, tmp_path: Path, lease_servers: dict[str, str]) -> None:
    address = lease_servers.get("PAPERFLEET_TEST_POSTGRES")
    if address is None:
        pytest.skip("there is no PostgreSQL")
    parts = urlsplit(address)
    database = {
        "HOST": str(parts.hostname),
        "PORT": str(parts.port),
        "NAME": parts.path.strip("/"),
        "USER": str(parts.username),
        "PASS": unquote(str(parts.password)),
    }
    variables = {f"PAPERLESS_DB{name}": text for name, text in database.items()}
    site = replace(SMALL, variables=variables)
    data = migrated(site, tmp_path / "first")
    done = pytest_in(site, module, data, tmp_path / "run", **VARIABLES.get(module, {}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
