"""The chart is the only source: what is made from it is current, and kustomize gives the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.deploy import chart_values, page, rendering
from tests.deploy.manifests import (
    CHART,
    CHART_VALUES,
    KUSTOMIZE,
    OVERLAYS,
    PROGRAMS,
    ROOT,
    components,
    helm,
    kustomize,
    missing,
    plain_objects,
    rendered,
    run,
    values_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.chart_values import Value

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def test_what_is_made_from_the_chart_is_current() -> None:
    files = rendering.made()
    assert len(files) > 12
    for name, text in files.items():
        assert (ROOT / name).read_text("utf-8") == text, f"{name}: make manifests"
    assert rendering.present() <= files.keys(), "the chart does not give these any more"
    assert page.FILE.read_text("utf-8") == page.text(), "make manifests"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_and_helm_give_the_same_objects(overlay: str) -> None:
    one = plain_objects(kustomize(KUSTOMIZE / "overlays" / overlay))
    other = plain_objects(helm(*values_of(overlay)))
    assert one.keys() == other.keys()
    for key, item in one.items():
        assert item == other[key], key


def test_every_component_is_in_the_overlay_of_its_name() -> None:
    named = {path.parent.name for path in KUSTOMIZE.glob("components/*/kustomization.yaml")}
    assert named | {"s3"} == set(OVERLAYS)
    assert [components(name) for name in sorted(named)] == [[name] for name in sorted(named)]


def test_what_a_person_sets_is_set_by_no_component() -> None:
    """A component has the last word on a setting, whatever the kustomization says that names it."""
    fixed = {"PAPERFLEET_EVENTS", "PAPERFLEET_FLEET", "PAPERLESS_DOCUMENT_STORAGE_BACKEND"}
    found: dict[str, str] = {}
    for path in KUSTOMIZE.glob("components/*/kustomization.yaml"):
        for generator in yaml.safe_load(path.read_text()).get("configMapGenerator", ()):
            found |= dict(line.split("=", 1) for line in generator["literals"])
    assert found.keys() == fixed
    assert set(found.values()) == {"", "true", "false"}


def test_a_setting_that_changes_makes_pods_anew(tmp_path: Path) -> None:
    more = tmp_path / "values.yaml"
    more.write_text("config: {PAPERLESS_OCR_LANGUAGE: deu}\n")
    older, newer = (
        helm(*values_of("s3"), *files)["Deployment/paperfleet-web"] for files in ((), (more,))
    )
    assert older["spec"]["template"] != newer["spec"]["template"]
    names = {
        item["metadata"]["name"]
        for overlay in ("s3", "shared-volume")
        for item in kustomize(KUSTOMIZE / "overlays" / overlay).values()
        if item["kind"] == "ConfigMap"
    }
    assert len(names) == 2, "kustomize names a ConfigMap by its content"


def test_a_namespace_of_yours_reaches_keda(tmp_path: Path) -> None:
    """The one place in which a name has the namespace in it."""
    folder = tmp_path / "kubernetes"
    shutil.copytree(KUSTOMIZE, folder)
    mine = folder / "overlays" / "keda"
    text = (mine / "kustomization.yaml").read_text("utf-8")
    (mine / "kustomization.yaml").write_text(
        text.replace("namespace: paperless", "namespace: mine")
    )
    found = kustomize(mine)
    assert {item["metadata"]["namespace"] for item in found.values()} == {"mine"}
    url = found["ScaledObject/paperfleet-worker"]["spec"]["triggers"][0]["metadata"]["url"]
    assert ".mine.svc" in url


@pytest.mark.parametrize("values", [None, *CHART_VALUES], ids=lambda path: path and path.name)
def test_helm_lint_is_content(values: Path | None) -> None:
    run("helm", "lint", "--strict", CHART, *(("--values", values) if values else ()))


def test_the_chart_belongs_to_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["appVersion"] == chart["version"] == version


def rows(values: list[Value]) -> list[Value]:
    return [row for value in values for row in (value, *rows(value.below))]


def test_every_value_is_described() -> None:
    found = rows(chart_values.values())
    assert len(found) > 100
    assert [".".join(row.path) for row in found if not row.about.endswith((".", ":"))] == []


def test_every_value_is_used() -> None:
    templates = "".join(path.read_text("utf-8") for path in (CHART / "templates").iterdir())
    for row in rows(chart_values.values()):
        if not row.below:
            assert re.search(rf"\b{row.path[-1]}\b", templates), row.path


MINIMUM = {"existingSecret": "paperfleet", "storage": {"address": "s3://documents"}}


def refused(tmp_path: Path, values: dict[str, Any]) -> str:
    """Return why helm does not render these values; '' where it does."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(MINIMUM | values))
    done = subprocess.run(
        [PROGRAMS / "helm", "template", "paperfleet", CHART, "--values", file],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"replicas": 2}, "replicas"),
        ({"web": {"replica": 2}}, "replica"),
        ({"web": {"replicas": "two"}}, "replicas"),
        ({"database": {"port": 0}}, "minimum"),
        ({"image": {"tag": "latest"}}, "tag"),
        ({"image": {"digest": "0123"}}, "pattern"),
        ({"runAsUser": 0}, "minimum"),
        ({"autoscaling": {"kind": "both"}}, "kind"),
        ({"redis": {"url": "redis://:swordfish@redis:6379"}}, "url"),
        ({"config": {"paperless_url": "x"}}, "paperless_url"),
        ({"config": {"PAPERLESS_OCR_LANGUAGE": 5}}, "string"),
        ({"config": {"PAPERLESS_DBHOST": "db"}}, "another value sets"),
        ({"config": {"PAPERFLEET_FLEET": "false"}}, "another value sets"),
        ({"existingSecret": ""}, "neither existingSecret nor secrets"),
        ({"secrets": {"PAPERLESS_SECRET_KEY": "x"}}, "both set"),
        ({"storage": {"address": ""}}, "where the documents are"),
        ({"sharedVolumes": {"enabled": True}}, "both set"),
        ({"mirror": {"enabled": True}}, "mirror.target"),
    ],
)
def test_values_that_cannot_be_are_refused(
    values: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, {}) == ""
    assert reason in refused(tmp_path, values)


def test_the_schema_is_one_and_refuses_what_it_does_not_know() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    for row in rows(chart_values.values()):
        part = schema
        for name in row.path:
            part = part["properties"][name]
        if row.below:
            assert part["additionalProperties"] is False, row.path


def test_no_folder_with_documents_is_lost_with_its_pod() -> None:
    """A base that is applied as it is does not work on documents: its bucket does not exist."""
    for name, objects in rendered().items():
        (config,) = (one["data"] for one in objects.values() if one["kind"] == "ConfigMap")
        where = config["PAPERLESS_DOCUMENT_STORAGE_BACKEND"]
        assert (config["PAPERFLEET_FLEET"] == "true") == where.startswith("s3://"), name
