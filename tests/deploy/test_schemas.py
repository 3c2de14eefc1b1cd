"""Kubernetes, KEDA and the Prometheus operator take every rendered object; checkov is content."""

from __future__ import annotations

import copy
import json
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.deploy.manifests import PROGRAMS, ROOT, Object, missing, rendered
from tests.wide import WIDE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
NEWEST = "1.37"
NOT_OURS = {
    "CKV_K8S_15": "an image with a version does not change, so it need not be fetched each time",
    "CKV_K8S_35": "`kubectl exec … manage.py` needs the secrets in its environment (ADR 0024)",
    "CKV_K8S_40": "the folders of paperless-ngx's image belong to 1000; runAsUser takes any other",
    "CKV_K8S_43": "a digest can be named, and has to be that of an image which its user built",
}
"""Rules of checkov that are left out, each with its reason; all others are kept."""


@cache
def distinct() -> list[Object]:
    """Return the objects of all renderings, each different one once."""
    objects = (item for found in rendered().values() for item in found.values())
    return list({json.dumps(item, sort_keys=True): item for item in objects}.values())


def judged(objects: list[Object], *versions: str) -> list[str]:
    done = subprocess.run(
        [PROGRAMS / "python", ROOT / "tests" / "deploy" / "judging.py", *versions],
        input=json.dumps(objects), capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "version",
    [
        pytest.param("1.33", marks=WIDE), pytest.param("1.34", marks=WIDE),
        pytest.param("1.35", marks=WIDE), pytest.param("1.36", marks=WIDE), NEWEST,
    ],
)  # fmt: skip
def test_kubernetes_keda_and_prometheus_take_every_object(version: str) -> None:
    assert judged(distinct(), version) == []


def one(kind: str) -> Object:
    return copy.deepcopy(next(item for item in distinct() if item["kind"] == kind))


def test_what_no_schema_knows_is_refused() -> None:
    deployment, scaled, monitor, missing_target = (
        one(kind) for kind in ("Deployment", "ScaledObject", "ServiceMonitor", "ScaledObject")
    )
    deployment["spec"]["template"]["spec"]["readOnly"] = True
    scaled["spec"]["minReplicas"] = 0
    monitor["spec"]["endpoints"][0]["ports"] = "metrics"
    del missing_target["spec"]["scaleTargetRef"]
    said = judged([deployment, scaled, monitor, missing_target], NEWEST)
    assert len(said) == 4, said


def checkov(folder: Path, objects: list[Object]) -> set[tuple[str, str]]:
    """Return (rule, object) of what fails."""
    file = folder / "all.yaml"
    file.write_text("---\n".join(yaml.safe_dump(item) for item in objects), "utf-8")
    words = (
        "--framework",
        "kubernetes",
        "--compact",
        "--quiet",
        "--skip-download",
        "--output",
        "json",
    )
    done = subprocess.run(
        [PROGRAMS / "checkov", *words, "--file", file.name],
        cwd=folder, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    found = json.loads(done.stdout)
    assert found["summary"]["parsing_errors"] == 0
    failed = found["results"]["failed_checks"]
    return {(one["check_id"], one["resource"]) for one in failed}


@WIDE
def test_checkov_finds_nothing_but_what_is_declared(tmp_path: Path) -> None:
    broken = one("Deployment")
    broken["metadata"]["name"] = "broken"
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = True
    found = checkov(tmp_path, [*distinct(), broken])
    by_broken = {rule for rule, name in found if name.endswith(".broken")}
    assert "CKV_K8S_16" in by_broken, "checkov did not see a privileged container"
    others = {rule for rule, name in found if not name.endswith(".broken")}
    assert others == NOT_OURS.keys(), "a rule of this table that finds nothing any more goes"
