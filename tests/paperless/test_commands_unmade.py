"""Commands of the app where its tables, or all tables, were never made: they say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.paperless.backup_kit import SmallInstallation
from tests.paperless.children import SMALL

from paperfleet.running.exitcodes import UNFINISHED

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "check": ["paperfleet_check"],
    "repair": ["paperfleet_check", "--repair"],
    "take": ["paperfleet_check", "--take-ownership"],
    "migrate": ["migrate_storage", "--dry-run"],
    "state": ["paperfleet_backup", "state", "FOLDER"],
    "collect": ["paperfleet_backup", "collect", "FOLDER"],
    "events": ["paperfleet_events"],
    "fleet": ["paperfleet_fleet"],
    "index": ["paperfleet_index", "status"],
    "schema": ["paperfleet_schema"],
    "tasks": ["paperfleet_tasks"],
    "retry": ["paperfleet_tasks", "--retry", "number"],
    "work": ["paperfleet_tasks", "--work"],
}


@pytest.fixture(scope="module")
def without_any(tmp_path_factory: pytest.TempPathFactory) -> SmallInstallation:
    return SmallInstallation(tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="module")
def without_ours(tmp_path_factory: pytest.TempPathFactory) -> SmallInstallation:
    """Return an installation whose paperless-ngx was migrated before our app was loaded."""
    made = SmallInstallation(tmp_path_factory.mktemp("ours"), {"PAPERLESS_APPS": ""})
    made.manage("migrate", "--verbosity", "0")
    made.variables = {}
    return made


@pytest.mark.parametrize("tables", ["any", "ours"])
@pytest.mark.parametrize("name", COMMANDS)
def test_it_ends_without_a_traceback(
    name: str, tables: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    installation = request.getfixturevalue(f"without_{tables}")
    words = [str(tmp_path) if word == "FOLDER" else word for word in COMMANDS[name]]
    done = SMALL.run(["manage.py", *words], installation.environment())
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in {0, 1, 2, UNFINISHED}, done.stderr
    if done.returncode:
        assert done.stdout + done.stderr, "it says why"
