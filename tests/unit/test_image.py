"""The image without an engine: what it copies exists, and what it runs runs."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paperfleet.journal.journal import Journal
from paperfleet.settings.places import default_journal

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "docker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
BOTH = (DOCKERFILE, (FOLDER / "Dockerfile.paperless").read_text())
LINES = re.sub(r"\\\n", " ", DOCKERFILE).splitlines()


def instructions(word: str) -> list[str]:
    return [line.removeprefix(word).strip() for line in LINES if line.startswith(word + " ")]


def command(word: str) -> list[str]:
    """Return the command of the last such instruction, in its JSON form."""
    return [str(part) for part in json.loads(re.sub(r"^.*?(?=\[)", "", instructions(word)[-1]))]


def variables() -> dict[str, str]:
    pairs = shlex.split(instructions("ENV")[-1])
    return dict(pair.split("=", 1) for pair in pairs)


def container(state: Path, **environ: str) -> dict[str, str]:
    """Return what a process of the container has, with our programs and a state folder here."""
    path = f"{Path(sys.executable).parent}:{os.defpath}"
    return variables() | {"PATH": path, "XDG_STATE_HOME": str(state)} | environ


def run(words: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=60)


def copied(text: str = DOCKERFILE) -> list[str]:
    lines = re.sub(r"\\\n", " ", text).splitlines()
    files = []
    for instruction in (line.removeprefix("COPY ") for line in lines if line.startswith("COPY ")):
        if not instruction.startswith(("--from=", "${WHEELS}")):
            files += shlex.split(instruction)[:-1]
    return files


def test_it_copies_what_exists_and_what_the_builder_sees() -> None:
    everything = {name for text in BOTH for name in copied(text)}
    assert {"src", "pyproject.toml", "requirements/base.txt"} <= everything
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in ignore if line.startswith("!")]
    let_in.remove("wheels")  # what a build without a network is given
    for name in everything:
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, p) or name.startswith(p + "/") for p in let_in), name
    for name in let_in:
        assert any(copy == name or copy.startswith(name + "/") for copy in everything), name


@pytest.mark.parametrize("text", [one.read_text() for one in sorted(FOLDER.glob("Dockerfile*"))])
def test_the_classic_builder_knows_all_of_it(text: str) -> None:
    assert not re.search(r"^# *syntax=|--mount=|<<|COPY --(?!from=|chown=)", text, re.MULTILINE)


def test_what_the_package_needs_to_be_built_is_copied() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'(?:readme = |license-files = \[)"([^"]+)"', pyproject):
        assert name in copied()


def test_it_runs_as_nobody_special_and_installs_by_hash() -> None:
    assert instructions("USER")[-1].split(":")[0] != "0"
    installs = [run for run in instructions("RUN") if "pip" in run and "requirement " in run]
    assert installs
    for step in installs:
        assert step.count("--require-hashes") == step.count("--requirement ")


def test_its_settings_are_settings(tmp_path: Path) -> None:
    found = run(["paperfleet", "settings"], container(tmp_path))
    assert found.returncode == 0, found.stderr
    assert re.search(r"source +/mnt/source +PAPERFLEET_SOURCE", found.stdout)


def test_it_says_what_is_missing(tmp_path: Path) -> None:
    found = run(command("ENTRYPOINT") + command("CMD"), container(tmp_path))
    assert found.returncode == 1
    assert "no target is given" in found.stderr
    assert "PAPERFLEET_TARGET" in found.stderr


@pytest.mark.parametrize(("age", "code"), [(10, 0), (3600, 1)])
def test_its_healthcheck_is_about_convergence(tmp_path: Path, age: float, code: int) -> None:
    environ = container(tmp_path, WEBDRIVE_URL="https://cloud.example/dav")
    journal = default_journal("/mnt/source", environ["WEBDRIVE_URL"], environ)
    healthcheck = command("HEALTHCHECK")
    assert run(healthcheck, environ).returncode == 1, "it has not run yet"
    with Journal.open(journal, source="s", target="t") as open_journal:
        open_journal.set_fact("compared_at", time.time() - age)
        found = run(healthcheck, environ)
    assert found.returncode == code, found.stderr


def test_entrypoint_mirrors_and_healthcheck_agrees(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "a.pdf").write_bytes(b"%PDF-1.7")
    pair = {"PAPERFLEET_SOURCE": str(source), "PAPERFLEET_TARGET": str(target)}
    environ = container(tmp_path / "state", **pair)
    start = command("ENTRYPOINT") + command("CMD")
    with subprocess.Popen(start, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + 30
        while run(command("HEALTHCHECK"), environ).returncode != 0:
            assert time.monotonic() < deadline
            assert process.poll() is None
        assert (target / "a.pdf").read_bytes() == b"%PDF-1.7"
        process.terminate()
        assert process.wait(10) == 0
        assert "created   a.pdf (8 B)" in process.stdout.read()
    assert run(command("HEALTHCHECK"), environ).returncode == 1, "it has stopped"
