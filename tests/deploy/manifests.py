"""Every manifest, rendered by the real helm and kustomize: once in a session, from one table.

``rendered()`` gives the objects of each rendering, ``pods()`` every pod in them.
"""

from __future__ import annotations

import copy
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "paperfleet"
KUSTOMIZE = ROOT / "deploy" / "kubernetes"
PROGRAMS = ROOT / ".venv-kubernetes" / "bin"
RELEASE, NAMESPACE = "paperfleet", "paperless"
OVERLAYS = tuple(
    sorted(path.parent.name for path in KUSTOMIZE.glob("overlays/*/kustomization.yaml"))
)
CHART_VALUES = tuple(sorted(CHART.glob("ci/*-values.yaml")))

Object = dict[str, Any]
Objects = dict[str, Object]
"""Objects by kind and name, ``Deployment/paperfleet-web``."""


class Pod(NamedTuple):
    """A pod: its ``rendering``, the ``owner`` that makes it, all ``objects`` beside that."""

    rendering: str
    owner: str
    template: Object
    objects: Objects

    @property
    def role(self) -> str:
        return str(self.template["metadata"]["labels"]["app.kubernetes.io/component"])

    @property
    def spec(self) -> Object:
        spec: Object = self.template["spec"]
        return spec

    @property
    def environ(self) -> dict[str, str]:
        """The variables that are no secrets, as the container has them."""
        found: dict[str, str] = {}
        container = self.spec["containers"][0]
        for source in container["envFrom"]:
            if "configMapRef" in source:
                found |= self.objects["ConfigMap/" + source["configMapRef"]["name"]]["data"]
        return found | {
            row["name"]: row["value"] for row in container.get("env", ()) if "value" in row
        }


def missing() -> str:
    """Return why nothing can be rendered here; '' where it can."""
    for name in ("kubectl", "helm"):
        try:
            subprocess.run(
                [PROGRAMS / name, "version", "--client"], capture_output=True, timeout=60
            )
        except OSError as error:
            return f"{name} cannot be run ({error.strerror}): make kubernetes installs it"
    return ""


def run(program: str, *words: str | Path) -> str:
    """Return what a program of ``make kubernetes`` prints; ``AssertionError`` with its error."""
    done = subprocess.run(
        [PROGRAMS / program, *words], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def helm(*values: Path, release: str = RELEASE, namespace: str = NAMESPACE) -> Objects:
    """Return the objects of the chart with files of values."""
    files = [word for path in values for word in ("--values", path)]
    return objects_of(run("helm", "template", release, CHART, "--namespace", namespace, *files))


@cache
def kustomize(folder: Path) -> Objects:
    """Return the objects that a folder with a ``kustomization.yaml`` gives."""
    return objects_of(run("kubectl", "kustomize", folder))


def objects_of(text: str) -> Objects:
    """Return the objects of a stream of YAML documents; two of one name are an error."""
    found: Objects = {}
    for item in yaml.safe_load_all(text):
        if item:
            key = f"{item['kind']}/{item['metadata']['name']}"
            assert key not in found, f"{key} is there twice"
            found[key] = item
    return found


def kustomization(overlay: str) -> Object:
    text = (KUSTOMIZE / "overlays" / overlay / "kustomization.yaml").read_text("utf-8")
    found: Object = yaml.safe_load(text)
    return found


def components(overlay: str) -> list[str]:
    """Return the components of an overlay in their order, without those of what it stands on."""
    return [Path(one).name for one in kustomization(overlay).get("components", ())]


def values_of(overlay: str) -> list[Path]:
    """Return the files of values with which the chart gives the same objects as an overlay.

    Those of what it stands on, of its components, and its own.
    """
    (below,) = kustomization(overlay)["resources"]
    name = Path(below).name
    found = [KUSTOMIZE / "base" / "values.yaml"] if name == "base" else values_of(name)
    found += [KUSTOMIZE / "components" / one / "values.yaml" for one in components(overlay)]
    own = KUSTOMIZE / "overlays" / overlay / "values.yaml"
    return [*found, own] if own.is_file() else found


@cache
def rendered() -> Mapping[str, Objects]:
    """Return the objects of every rendering by its name."""
    found = {"kustomize base": kustomize(KUSTOMIZE / "base")}
    for overlay in OVERLAYS:
        found[f"kustomize {overlay}"] = kustomize(KUSTOMIZE / "overlays" / overlay)
        found[f"helm {overlay}"] = helm(*values_of(overlay))
    for path in CHART_VALUES:
        found[f"helm {path.name}"] = helm(path)
    return found


def pods() -> Iterator[Pod]:
    """Give every pod of every rendering."""
    for name, objects in rendered().items():
        for owner, item in objects.items():
            if template := template_of(item):
                yield Pod(name, owner, template, objects)


def template_of(item: Object) -> Object | None:
    """Return the pod that an object makes, None for one that makes none."""
    spec = item.get("spec", {})
    found: Object | None = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    return found


HELMS_OWN = ("app.kubernetes.io/managed-by", "helm.sh/chart")
CHECKSUMS = ("checksum/config", "checksum/secret")
_HASH = re.compile(r"-(?:[0-9a-f]{8}|[0-9bcdfghkmt]{10}|[0-9a-z]{10})$")


def plain(item: Object) -> Object:
    """Return an object without what says that Helm made it, and without hashes of its content.

    Both make a pod anew when a setting changes: Helm by a checksum in the pod, kustomize by a hash
    in the name of the ConfigMap. A Job of Helm has a hash in its name.
    """
    item = copy.deepcopy(item)
    for label in HELMS_OWN:
        item["metadata"].get("labels", {}).pop(label, None)
    if item["kind"] in {"ConfigMap", "Job"}:
        item["metadata"]["name"] = without_hash(item["metadata"]["name"])
    if template := template_of(item):
        for name in CHECKSUMS:
            template["metadata"]["annotations"].pop(name, None)
        for container in template["spec"]["containers"]:
            for source in container["envFrom"]:
                if "configMapRef" in source:
                    reference = source["configMapRef"]
                    reference["name"] = without_hash(reference["name"])
    return item


def without_hash(name: str) -> str:
    return _HASH.sub("", name)


def plain_objects(objects: Objects) -> Objects:
    found = [plain(item) for item in objects.values()]
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in found}
