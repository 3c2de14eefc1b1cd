"""What the how-to says is what is run; images are built in ``tests/deploy/engine``."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.paperless.children import SMALL
from tests.wide import WIDE

from paperfleet.settings.app import BACKEND, OPTIONS
from paperfleet.settings.environment import variables
from paperfleet.settings.storages import options_of

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile.paperless"
COMPOSE = (ROOT / "deploy" / "compose" / "fleet.yaml").read_text()
HOW_TO = (ROOT / "docs" / "how-to" / "install-in-paperless.md").read_text()
BACKENDS = ("LocalFilesystemBackend", "S3CompatibleBackend")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", HOW_TO, re.DOTALL)


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment in which the dependencies are, and Paperfleet is not."""
    made = tmp_path_factory.mktemp("install") / "venv"
    command = [sys.executable, "-m", "venv", "--without-pip", str(made)]
    subprocess.run(command, check=True, timeout=120)
    library = made / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    ours = Path(sysconfig.get_paths()["purelib"])
    for found in ours.iterdir():
        if not found.name.startswith(("paperfleet", "_editable", "__editable", "_paperfleet")):
            (library / found.name).symlink_to(found)
    return made


def in_venv(venv: Path, command: str, folder: Path, **variables: str) -> str:
    """Run a command of a shell with the environment's Python, and without a registry."""
    done = subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=folder,
        env={
            "PATH": f"{venv / 'bin'}:{os.defpath}",
            "HOME": str(folder),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "off",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def settings(folder: Path) -> dict[str, str]:
    """Return the variables of an installation whose storage is a folder."""
    environment = SMALL.environment(folder)
    kept = {
        name: text for name, text in environment.items() if name.startswith(("PAPERLESS_", "DJ"))
    }
    options = folder / "document-storage.json"
    options.write_text(json.dumps({"root": str(folder / "store")}))
    return {
        **kept,
        "PYTHONPATH": str(SMALL.source),
        BACKEND: "paperless.storage.LocalFilesystemBackend",
        f"{OPTIONS}_FILE": str(options),
    }


def assert_it_works(venv: Path, folder: Path) -> None:
    variables = settings(folder)
    manage = f"python3 {SMALL.source}/manage.py"
    where = in_venv(venv, "python3 -c 'import paperfleet; print(paperfleet.__file__)'", folder)
    assert where.startswith(str(venv))
    in_venv(venv, f"{manage} migrate --verbosity 0", folder, **variables)
    in_venv(venv, f"{manage} check", folder, **variables)
    told = in_venv(venv, f"{manage} paperfleet_check", folder, **variables)
    assert f"the documents are in file://{folder / 'store'}" in told


def small_checkout(folder: Path) -> Path:
    """Copy what makes the package; neither environments nor results of tests."""
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src")
    return folder


@pytest.mark.timeout(600)
@WIDE
def test_the_commands_for_bare_metal_work(venv: Path, tmp_path: Path) -> None:
    install, variables, manage = blocks("sh")[3:6]
    assert dict(line.split("=", 1) for line in variables.split()).keys() == {
        "PAPERLESS_APPS",
        BACKEND,
        f"{OPTIONS}_FILE",
    }
    python = str(venv / "bin" / "python3")
    copy = small_checkout(tmp_path / "checkout")
    in_venv(venv, install.replace("/opt/paperless/venv/bin/python3", python), copy)
    folder = tmp_path / "data"
    given = settings(folder)
    commands = manage.replace("/opt/paperless/venv/bin/python3", python)
    assert "no issues" in in_venv(venv, commands, SMALL.source, **given)
    assert_it_works(venv, folder)


def test_the_how_to_builds_the_image_of_the_dockerfile() -> None:
    assert f"--file {DOCKERFILE.relative_to(ROOT)} " in blocks("sh")[0]


def test_variables_of_the_how_to_and_of_the_compose_file_are_settings() -> None:
    text = HOW_TO + COMPOSE
    known = variables() | {"PAPERLESS_APPS"}
    assert set(re.findall(r"PAPERFLEET_[A-Z_]+", text)) <= known
    used = set(re.findall(r"PAPERLESS_DOCUMENT_STORAGE[A-Z_]*", text))
    assert used == {BACKEND, f"{OPTIONS}_FILE"}


def test_a_file_and_its_variable_may_say_the_same(tmp_path: Path) -> None:
    """The image of paperless-ngx sets the variable from the file, with a newline or without."""
    text = '{"bucket_name": "b"}'
    path = tmp_path / "options"
    path.write_text(f"{text}\n")
    for given in (text, f"{text}\n"):
        both = {OPTIONS: given, f"{OPTIONS}_FILE": str(path)}
        assert options_of(OPTIONS, both) == {"bucket_name": "b"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_names_of_the_design_are_known_everywhere(backend: str, tmp_path: Path) -> None:
    options = {"root": str(tmp_path / "old")}
    if backend.startswith("S3"):
        options = {"bucket_name": "b", "endpoint_url": "http://127.0.0.1:1"}
    variables = SMALL.environment(tmp_path, PAPERFLEET_SOURCE_OPTIONS=json.dumps(options))
    assert SMALL.run(["manage.py", "migrate", "--verbosity", "0"], variables).returncode == 0
    command = ["manage.py", "migrate_storage", f"--source-backend=paperless.storage.{backend}"]
    done = SMALL.run([*command, "--dry-run"], variables)
    assert "cannot be loaded" not in done.stderr
    assert "from " in done.stdout or "127.0.0.1:1" in done.stderr
