"""The table of roles against what paperless-ngx's image does at its start, in a checkout."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

import pytest
from tests.paperless import checkout

from paperfleet.fleet.roles import CHECK, INDEX, MIGRATIONS, ROLES, SUPERUSER, SUPERUSER_VARIABLE
from paperfleet.fleet.site import FOLDERS, IMAGE_SRC, NOT_SECRETS, SCRATCH
from paperfleet.settings.fleet import table

if TYPE_CHECKING:
    from pathlib import Path

MISSING = checkout.missing()
pytestmark = [pytest.mark.paperless, pytest.mark.skipif(bool(MISSING), reason=str(MISSING))]
SERVICES = {role.service: role for role in ROLES.values() if role.service}
STEPS = {
    "init-complete": "nothing but an order",
    "init-custom-init": "left to whoever builds the image (docs/concepts/fleet.md)",
    "init-env-file": "fleet/site.py, with_secrets",
    "init-folders": "fleet/site.py, FOLDERS",
    "init-llmindex-migrate": "the LLM index belongs to one host (docs/concepts/fleet.md)",
    "init-migrations": "roles.MIGRATIONS",
    "init-modify-user": "any user works (docs/concepts/fleet.md)",
    "init-search-index": "roles.INDEX",
    "init-start": "PAPERLESS_SRC and HOME, fleet/site.py",
    "init-superuser": "roles.SUPERUSER",
    "init-system-checks": "roles.CHECK",
    "init-tesseract-langs": "fleet/languages.py",
    "init-wait-for-db": "fleet/waits.py",
    "init-wait-for-redis": "fleet/waits.py",
    "user": "nothing but an order",
}
"""Each step of the image, and where it is done here."""
NEWER = {"init-llmindex-migrate"}
"""Those that not all tested versions have."""


@pytest.fixture(scope="module")
def steps() -> Path:
    root = checkout.checkout().src.parent
    return root / "docker" / "rootfs" / "etc" / "s6-overlay" / "s6-rc.d"


def script(steps: Path, name: str) -> str:
    return (steps / name / "run").read_text(encoding="utf-8").replace("\\\n", " ")


def commands(steps: Path, name: str) -> list[list[str]]:
    """Return the programs that a step runs, without who runs them and where they lie."""
    found = []
    for line in script(steps, name).splitlines():
        words = [word.rpartition("/")[2] if "celery" in word else word for word in _words(line)]
        for start, word in enumerate(words):
            if word in {"celery", "granian"} or (word == "python3" and "manage.py" in words):
                found.append(words[start:])
                break
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line.partition("||")[0], comments=True)
    except ValueError:  # a quote that goes on in the next line: no command
        return []


def test_every_step_of_the_image_is_known(steps: Path) -> None:
    found = {path.name for path in steps.iterdir()}
    assert found - NEWER == (STEPS.keys() | SERVICES.keys()) - NEWER


@pytest.mark.parametrize("service", SERVICES)
def test_a_role_runs_what_its_service_runs(steps: Path, service: str) -> None:
    found = commands(steps, service)
    assert found
    conf = "--conf=${PAPERLESS_SRC_DIR}/paperless/flowerconfig.py"
    for command in found:
        plain = [word for word in command if not word.startswith("--conf=")]
        assert tuple(plain) == SERVICES[service].command
        assert set(command) - set(plain) <= {conf}


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ("init-system-checks", [CHECK]),
        ("init-superuser", [SUPERUSER]),
        ("init-migrations", MIGRATIONS),
        ("init-search-index", [INDEX]),
        ("init-llmindex-migrate", [("python3", "manage.py", "document_llmindex", "migrate")]),
    ],
)
def test_a_step_runs_what_the_table_has(
    steps: Path, step: str, wanted: list[tuple[str, ...]]
) -> None:
    if not (steps / step).exists() and step in NEWER:
        pytest.skip(f"this version has no {step}")
    found = {tuple(command) for command in commands(steps, step)}
    if checkout.checkout().version[0] == 2:  # it has neither the check nor --if-needed
        old = {"init-search-index": INDEX[:4] + INDEX[5:], "init-migrations": MIGRATIONS[1]}
        assert found == {old[step]} if step in old else found == set(wanted)
        return
    assert found == set(wanted)


def test_the_index_version_of_the_image_is_the_one_that_is_noted(steps: Path) -> None:
    if checkout.checkout().version[0] > 2:
        pytest.skip("paperless-ngx 3 finds out by itself")
    from paperfleet.fleet.launcher import _INDEX_VERSION

    assert f"index_version={_INDEX_VERSION}" in script(steps, "init-search-index")


def test_the_web_server_has_the_variables_of_the_image(steps: Path) -> None:
    found = set(re.findall(r"export (GRANIAN_\w+)=(\S+)", script(steps, "svc-webserver")))
    assert found == {
        ("GRANIAN_HOST", '${GRANIAN_HOST:-${PAPERLESS_BIND_ADDR:-"::"}}'),
        ("GRANIAN_PORT", "${GRANIAN_PORT:-${PAPERLESS_PORT:-8000}}"),
        ("GRANIAN_WORKERS", "${GRANIAN_WORKERS:-${PAPERLESS_WEBSERVER_WORKERS:-1}}"),
        ("GRANIAN_URL_PATH_PREFIX", "${PAPERLESS_FORCE_SCRIPT_NAME}"),
    }


def test_the_folders_are_where_the_image_has_them(steps: Path) -> None:
    text = script(steps, "init-folders")
    found = dict(re.findall(r"\$\{(PAPERLESS_[A-Z_]+):[-=]([^}]+)\}", text))
    places = {one.variable: os.path.normpath(IMAGE_SRC / one.default) for one in FOLDERS}
    assert found == places | {SCRATCH.variable: f"/tmp/{SCRATCH.default}"}  # noqa: S108  # the image's
    below = set(re.findall(r'"\$\{(\w+?)(?:_dir)?\}/([\w/]+)"', text))
    names = {one: one.variable.removeprefix("PAPERLESS_").removesuffix("_DIR") for one in FOLDERS}
    assert below == {(names[one].lower(), path) for one in FOLDERS for path in one.below}


def test_the_database_is_waited_for_as_long_as_in_the_image(steps: Path) -> None:
    (seconds,) = re.findall(r"\bTIMEOUT=(\d+)", script(steps, "init-wait-for-db"))
    assert int(seconds) == table()["server_wait_seconds"].default


def test_the_image_has_no_other_folders_and_variables(steps: Path) -> None:
    folders = set(re.findall(r"PAPERLESS_[A-Z_]+", script(steps, "init-folders")))
    assert folders - {"PAPERLESS_SRC_DIR"} == {folder.variable for folder in FOLDERS} | set()
    assert SCRATCH.variable in folders
    exceptions = set(re.findall(r"PAPERLESS_[A-Z_]+_FILE", script(steps, "init-env-file")))
    assert exceptions == NOT_SECRETS
    assert SUPERUSER_VARIABLE in script(steps, "init-superuser")
    assert "PAPERLESS_CONSUMER_DISABLE" in script(steps, "svc-consumer")
