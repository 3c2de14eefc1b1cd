"""What the project says of itself, kept true."""

from __future__ import annotations

import os
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lowest import lowest

from paperfleet.settings.config import read

ROOT = Path(__file__).parents[2]
LOCKS = ("base", "build", "dev", "engine", "kubernetes", "paperless")
TARGETS = ("setup", "demo", "test", "test-all", "test-paperless", "lint", "bench", "soak", "docs")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def project() -> dict[str, Any]:
    return tomllib.loads(text("pyproject.toml"))


def plain(requirement: str) -> str:
    """Return the bare name of a requirement: 'coverage' of 'coverage[toml]>=7.6'."""
    found = re.match(r"[a-zA-Z0-9._-]+", requirement)
    assert found
    return re.sub(r"[._-]+", "-", found.group()).lower()


def locked(lock: str) -> set[str]:
    return {plain(line) for line in text(f"requirements/{lock}.txt").splitlines() if "==" in line}


def optional(group: str) -> set[str]:
    return {plain(name) for name in project()["project"]["optional-dependencies"][group]}


def extras() -> set[str]:
    groups = project()["project"]["optional-dependencies"]
    return {name for group in groups for name in optional(group)}


def group(name: str) -> set[str]:
    entries = project()["dependency-groups"][name]
    return {plain(entry) for entry in entries if isinstance(entry, str)}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_versions_and_hashes_and_no_addresses(lock: str) -> None:
    content = text(f"requirements/{lock}.txt")
    entries = re.split(r"\n(?=[a-z0-9])", content)
    assert len(entries) > 1
    for entry in entries[1:]:
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9,]+\])?==[0-9][^ ]*( ; [^\\]+)? \\\n", entry), entry
        assert "--hash=sha256:" in entry
    assert not re.search(r"://|/|index|find-links|\.(org|com|io|net)\b", content)


def test_the_locks_have_all_dependencies() -> None:
    base = {plain(name) for name in project()["project"]["dependencies"]}
    assert base <= locked("base")
    for name in ("build", "engine", "kubernetes"):
        assert group(name) <= locked(name)
    assert base | optional("paperless") <= locked("paperless")
    everything = base | group("dev") | group("build") | extras()
    assert everything <= locked("dev")
    assert not optional("demo") & locked("base"), "the image needs no demo"


@pytest.mark.parametrize("lock", ["engine", "mutation"])
def test_a_lock_that_is_installed_beside_another_changes_nothing_of_it(lock: str) -> None:
    beside, dev = (
        dict(
            re.findall(
                r"^([a-z0-9-]+)(?:\[[a-z0-9,]+\])?==(\S+)",
                text(f"requirements/{name}.txt"),
                re.MULTILINE,
            )
        )
        for name in (lock, "dev")
    )
    assert dev.keys() & beside.keys()
    assert {name: dev.get(name, version) for name, version in beside.items()} == beside


def test_every_dependency_has_its_reason() -> None:
    named = set(
        re.findall(r"^\| ([a-z0-9-]+) \|", text("docs/adr/0001-dependencies.md"), re.MULTILINE)
    )
    base = {plain(name) for name in project()["project"]["dependencies"]}
    apart = group("mutation") | group("kubernetes") | group("engine")
    wanted = base | group("dev") | group("build") | apart | extras()
    assert named - {"dependency"} == wanted


def test_the_makefile_has_the_targets() -> None:
    for target in TARGETS:
        assert re.search(rf"^{target}:.* ## ", text("Makefile"), re.MULTILINE), target


def test_the_gate_is_make() -> None:
    gate = ROOT / ".ci" / "run"
    assert os.access(gate, os.X_OK)
    lines = text(".ci/run").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert [line for line in lines if line][-1] == "make test-all", "its summary comes last"
    assert "make lint" in lines


def test_the_versions_of_python_agree() -> None:
    about = project()["project"]
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(about["classifiers"]))
    workflow = re.search(r"python: \[(.*)\]", text(".github/workflows/ci.yml"))
    assert workflow
    assert re.findall(r"3\.\d+", workflow.group(1)) == classifiers
    assert about["requires-python"] == f">={classifiers[0]}"
    image = re.search(r"PYTHON_IMAGE=python:(3\.\d+)-slim", text("deploy/docker/Dockerfile"))
    assert image
    assert image.group(1) in classifiers


def test_a_class_has_a_name_of_its_own() -> None:
    found: dict[str, list[str]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for name in re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            found.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    named_by_django = {"Migration", "Command"}
    assert not {
        n: paths for n, paths in found.items() if len(paths) > 1 and n not in named_by_django
    }


def drawn(page: str) -> list[list[str]]:
    """Return the boxes of each drawing in which one stands below the other, from the top."""
    found = []
    for drawing in re.findall(r"```mermaid\nflowchart TB\n(.*?)```", page, re.DOTALL):
        boxes = dict(re.findall(r'(\w+)\["([^"]+)"\]', drawing))
        arrows = [re.sub(r"\[.*?\]", "", line).split() for line in drawing.splitlines() if line]
        ids = list(boxes)
        assert arrows == [[a, "-->", b] for a, b in pairwise(ids)]
        found.append(list(boxes.values()))
    return found


def test_the_drawing_of_the_layers_is_what_is_checked() -> None:
    contracts = project()["tool"]["importlinter"]["contracts"]
    layers = {
        contract["containers"][0]: contract["layers"]
        for contract in contracts
        if contract["type"] == "layers" and contract.get("exhaustive")
    }
    whole, app = drawn(text("docs/architecture.md"))
    assert whole == layers["paperfleet"]
    assert app == layers["paperfleet.paperless"]


def test_the_tour_has_twelve_files_that_exist() -> None:
    page = text("docs/architecture.md")
    steps = re.findall(r"^(\d+)\. \[`(.+?)`\]\(\.\./src/paperfleet/(.+?)\)", page, re.MULTILINE)
    assert [int(number) for number, *_ in steps] == list(range(1, 13))
    for _, shown, path in steps:
        assert shown == path
        assert (ROOT / "src" / "paperfleet" / path).is_file(), path


def test_the_folders_of_the_architecture_exist() -> None:
    named = re.findall(r"^\| `(\w+)` \|", text("docs/architecture.md"), re.MULTILINE)
    folders = {path.parent.name for path in (ROOT / "src" / "paperfleet").glob("*/__init__.py")}
    assert set(named) == folders


def test_decisions_are_numbered() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    for name in names:
        assert text(f"docs/adr/{name}").startswith(f"# {name[:4]}: ")


@pytest.mark.parametrize(
    "page",
    [
        path.relative_to(ROOT).as_posix()
        for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md"))
    ],
)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text(page)):
        if not link.startswith(("http://", "https://", "mailto:")):
            assert (ROOT / page).parent.joinpath(link).exists(), link


def commands_of(page: str) -> set[str]:
    """Return each line of a page's commands, without what is said behind it."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    lines = (line.partition("  #")[0].strip() for block in blocks for line in block.splitlines())
    return {line for line in lines if line}


def test_the_short_ways_are_those_of_the_pages_whose_commands_are_run() -> None:
    names = ("compose", "kubernetes", "install-in-paperless")
    known = set().union(*(commands_of(text(f"docs/how-to/{name}.md")) for name in names))
    shown = commands_of(text("README.md").partition("\n## In containers")[2].partition("\n## ")[0])
    assert {line.split()[0] for line in shown} >= {"docker", "kubectl", "helm", "mkdir"}
    assert shown <= known


def test_the_image_is_built_as_the_pages_say() -> None:
    file = "deploy/docker/Dockerfile.paperless"
    (command,) = re.findall(r"^#   (docker build .*)$", text(file), re.MULTILINE)
    for page in ("README.md", "docs/how-to/compose.md", "docs/how-to/install-in-paperless.md"):
        assert [one for one in commands_of(text(page)) if file in one] == [command], page


def test_the_compose_file_uses_settings_that_exist() -> None:
    block = re.search(r"\n    environment:\n((?:      .*\n)+)", text("deploy/compose/mirror.yaml"))
    assert block
    environ = dict(re.findall(r"^      ([A-Z_]+): (.*)$", block.group(1), re.MULTILINE))
    assert "WEBDRIVE_URL" in environ
    del environ["WEBDRIVE_PASSWORD_FILE"]  # it is there in the container alone
    reading = read({}, environ)
    assert reading.notices == ()
    assert reading.found["source"].value == "/mnt/source"


def test_every_requirement_of_users_has_a_lowest_version() -> None:
    pinned = lowest()
    assert len({plain(line) for line in pinned}) == len(pinned), "two bounds of one package"
    base = {plain(name) for name in project()["project"]["dependencies"]}
    assert {plain(line) for line in pinned} == base | extras()


WORKFLOWS = sorted(path.name for path in (ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_pins_its_actions_and_may_do_nothing_that_it_does_not_say(name: str) -> None:
    workflow = text(f".github/workflows/{name}")
    used = re.findall(r"uses: (.*)", workflow)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./[\w./-]+", action), action
    assert "\npermissions: {}\n" in workflow
    jobs = re.split(r"^  (\w+):\n", workflow.partition("\njobs:\n")[2], flags=re.MULTILINE)
    for job, steps in zip(jobs[1::2], jobs[2::2], strict=True):
        assert "    permissions:\n" in steps, job
        assert steps.count("write") == ("id-token: write" in steps), job
        assert steps.count("actions/checkout@") == steps.count("persist-credentials: false"), job


def test_a_workflow_runs_what_a_developer_runs() -> None:
    targets = set(re.findall(r"^([\w-]+):.* ## ", text("Makefile"), re.MULTILINE))
    for name in WORKFLOWS:
        for command in re.findall(r"run: (.*)", text(f".github/workflows/{name}")):
            words = command.split()
            if words[0] == "make":
                assert set(words[1:]) <= targets, command
            else:
                assert words[0] in {".ci/run", "sudo"}, command


def test_the_page_about_releases_names_every_variable_of_its_workflow() -> None:
    used = set(re.findall(r"(?:vars|secrets)\.(\w+)", text(".github/workflows/release.yml")))
    assert used == set(re.findall(r"`([A-Z]+_[A-Z_]+)`", text("docs/how-to/release.md")))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_builds_every_image_for_both_kinds_of_machine(name: str) -> None:
    job = yaml.safe_load(text(f".github/workflows/{name}"))["jobs"]["image"]
    matrix = job["strategy"]["matrix"]
    files = matrix.get("file") or [one["file"] for one in matrix["include"]]
    assert files == sorted(path.name for path in (ROOT / "deploy" / "docker").glob("Dockerfile*"))
    (build,) = [step["with"] for step in job["steps"] if "build-push" in step["uses"]]
    assert build["file"] == "deploy/docker/${{ matrix.file }}"
    assert build["platforms"] == "linux/amd64,linux/arm64"
    if build["push"]:
        assert build["sbom"] is True
        given = dict(line.split("=", 1) for line in build["build-args"].splitlines())
        for file in files:
            wanted = re.findall(
                r"^ARG (\w+_IMAGE|VERSION)=", text(f"deploy/docker/{file}"), re.MULTILINE
            )
            assert set(wanted) <= given.keys()
        names = build["tags"].splitlines()
        assert all("${{ matrix.suffix }}:${{ github.ref_name }}" in one for one in names)
        assert len({one["suffix"] for one in matrix["include"]}) == len(files)
