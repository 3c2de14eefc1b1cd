"""docs/how-to/fleet-by-hand.md against the fleet of ``test_e2e_fleet``, which starts one so."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from tests.paperless import machine_fleet
from tests.paperless.checkout import ROOT
from tests.paperless.children import PROJECT
from tests.paperless.fleet_proof import COMMANDS

from paperfleet.fleet.launcher import shown
from paperfleet.paperless import config

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "how-to" / "fleet-by-hand.md").read_text("utf-8")
STARTED = {role for roles in machine_fleet.ROLES.values() for role in roles} | {"migrate"}


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def told() -> dict[str, str]:
    """Return the variables of the page."""
    lines = [line.partition("=") for line in block("sh").splitlines() if line]
    return {name: value for name, _, value in lines}


def test_the_page_starts_the_roles_that_the_fleet_of_the_tests_has() -> None:
    assert set(re.findall(r"^\$ .*\bpaperfleet run (\w+)", PAGE, re.MULTILINE)) == STARTED


def test_the_page_sets_what_the_fleet_of_the_tests_is_told() -> None:
    files = ("installation.py", "machine_fleet.py")
    source = "".join((ROOT / "tests" / "paperless" / name).read_text("utf-8") for name in files)
    variables = {name.replace("_OPTIONS_FILE", "_OPTIONS") for name in told()}
    assert {name for name in variables if f'"{name}"' not in source} == set()


def test_each_role_takes_the_settings_of_the_page(tmp_path: Path) -> None:
    options = tmp_path / "storage.json"
    options.write_text(block("json"), "utf-8")
    places = {"PAPERLESS_SRC": str(PROJECT), "PAPERLESS_PYTHON": sys.executable}
    environ = told() | places | {"PAPERLESS_DOCUMENT_STORAGE_OPTIONS_FILE": str(options)}
    for role in STARTED:
        assert shown(role, environ)[0].startswith(f"role:      {role}")
    found = config.read(environ)
    assert found.settings.fleet
    assert found.is_shared
    assert found.options["bucket_name"] == "documents"


def test_the_fleet_of_the_tests_runs_the_commands_of_the_page() -> None:
    assert set(re.findall(r"manage\.py (\w+)", PAGE)) == set(COMMANDS)
