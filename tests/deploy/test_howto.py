"""The commands of docs/how-to/kubernetes.md that need no cluster, as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.deploy import policy
from tests.deploy.manifests import PROGRAMS, ROOT, Objects, missing, objects_of, plain_objects

from paperfleet.fleet.roles import ROLES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
PAGE = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return found


KINDS = {"deploy": "Deployment", "service": "Service", "cronjob": "CronJob"}
COMMANDS = [line.strip() for block in blocks("sh") for line in block.splitlines()]


def offline(command: str) -> list[str]:
    """Return a command that does the same without a cluster; [] where there is none."""
    match shlex.split(command):
        case ["kubectl", "apply", "-k", folder]:
            return ["kubectl", "kustomize", folder]
        case ["kubectl", "kustomize", _] as words:
            return words
        case ["kubectl", "create", "job", *_]:
            return []  # it copies what is in the cluster
        case ["kubectl", "create", *words] if "--from" not in words:
            return ["kubectl", "create", *words, "--dry-run=client", "--output", "yaml"]
        case ["helm", "install" | "upgrade", *words]:
            return ["helm", "template", *words]
        case _:
            return []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make the folder of a user, with the files of the page and the checkout beside them."""
    kustomization, values = blocks("yaml")
    (tmp_path / "kustomization.yaml").write_text(kustomization, "utf-8")
    (tmp_path / "values.yaml").write_text(values, "utf-8")
    (tmp_path / "secret.env").write_text(blocks("ini")[0], "utf-8")
    (tmp_path / "fleet.sql").write_text("-- work\nSELECT count(*)\nFROM paperfleet_work\n", "utf-8")
    (tmp_path / "paperfleet").symlink_to(ROOT)
    return tmp_path


def run(command: str, folder: Path) -> Objects:
    program, *words = offline(command)
    done = subprocess.run(
        [PROGRAMS / program, *words], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return objects_of(done.stdout)


@pytest.mark.parametrize("command", sorted({command for command in COMMANDS if offline(command)}))
def test_a_command_of_the_page_does_what_it_says(command: str, folder: Path) -> None:
    found = run(command, folder)
    if " create " not in command:
        ours = {key: item for key, item in found.items() if not key.startswith("Secret/")}
        assert policy.faults(ours) == {}
        assert policy.settings(found)["PAPERLESS_DBPORT"] == "5432"
    elif " secret " in command:
        assert len(found["Secret/paperfleet"]["data"]) == 5


def test_both_ways_of_the_page_lead_to_the_same(folder: Path) -> None:
    """Kustomize has the Secret among its objects."""
    helm = next(command for command in COMMANDS if command.startswith("helm install"))
    one, other = (plain_objects(run(command, folder)) for command in ("kubectl apply -k .", helm))
    secrets = [key for key in one if key.startswith("Secret/")]
    assert len(secrets) == 1
    made = one.pop(secrets[0])["metadata"]["name"]
    for item in one.values():
        for source in policy.sources(item):
            if source.get("secretRef", {}).get("name") == made:
                source["secretRef"]["name"] = "paperfleet"
    assert one == other


def test_what_needs_a_cluster_names_what_is_there(folder: Path) -> None:
    helm = next(command for command in COMMANDS if command.startswith("helm install"))
    objects = run(f"{helm} --set backup.enabled=true", folder)
    for command in (one for one in COMMANDS if one.startswith(("kubectl", "helm"))):
        for kind, name in re.findall(r" (deploy|service|cronjob)/(\S+)", command):
            assert f"{KINDS[kind]}/{name}" in objects, command
        for role in re.findall(r"app\.kubernetes\.io/component=(\w+)", command):
            assert role in ROLES, command
        if not offline(command) or "create secret" in command or command.startswith("helm"):
            assert "--namespace paperless" in command
