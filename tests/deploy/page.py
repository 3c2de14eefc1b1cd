"""docs/reference/deployment.md: every rendered object, and every value of the chart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.deploy import chart_values
from tests.deploy.manifests import (
    CHART,
    KUSTOMIZE,
    OVERLAYS,
    ROOT,
    Objects,
    helm,
    plain_objects,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.chart_values import Value

FILE = ROOT / "docs" / "reference" / "deployment.md"
HEAD = """\
# Deployment on Kubernetes

<!-- Made by `make manifests` from deploy/helm/paperfleet; a test compares the two. -->

[How to install it](../how-to/kubernetes.md). The Helm chart `deploy/helm/paperfleet` is the
source; the files in `deploy/kubernetes` are rendered from it
([why](../adr/0024-one-source-of-manifests.md)).

## Objects

With Helm a release of another name begins the names with that. kustomize adds a hash to the name
of the ConfigMap, Helm to that of the Job. An object is there in every installation, unless the last
column says for which component of kustomize or value of the chart.

| object | what it is for | only with |
|---|---|---|
"""
OVERLAYS_HEAD = """
## Overlays

Each gives the same as the chart with these files of values, below `deploy/kubernetes`.

| overlay | values | objects |
|---|---|---:|
"""
VALUES_HEAD = """
## Values of the chart

Any other value is refused, and so is one of another type than its default.

| value | default | meaning |
|---|---|---|
"""
_SWITCHES = {
    "Deployment/paperfleet-flower": "`flower.enabled`",
    "Secret/paperfleet": "`secrets`",
    "ServiceMonitor/paperfleet-metrics": "`metrics.serviceMonitor.enabled`",
    "TriggerAuthentication/paperfleet-worker": "`autoscaling.query`",
    "NetworkPolicy/paperfleet-to-others": "`networkPolicy.egress`",
    "Ingress/paperfleet-web": "`ingress.enabled`; in the base of kustomize always",
    "Job/paperfleet-migrate": "`migrate.enabled`, which is on",
}


def text() -> str:
    """Return the page."""
    base = plain_objects(helm(KUSTOMIZE / "base" / "values.yaml"))
    found = [*_objects(base), OVERLAYS_HEAD]
    for overlay in OVERLAYS:
        files = [path.relative_to(KUSTOMIZE).as_posix() for path in values_of(overlay)]
        names = ", ".join(f"`{name}`" for name in files)
        found.append(f"| `{overlay}` | {names} | {len(helm(*values_of(overlay)))} |\n")
    found += [VALUES_HEAD, *(_row(row) for value in chart_values.values() for row in _flat(value))]
    return HEAD + "".join(found)


def _objects(base: Objects) -> Iterator[str]:
    where: dict[str, str] = dict.fromkeys(base, "")
    objects = dict(base)
    for overlay in OVERLAYS:
        for key, item in plain_objects(helm(*values_of(overlay))).items():
            if key not in objects:
                objects[key], where[key] = item, f"`{overlay}`"
    for key, item in plain_objects(helm(CHART / "ci" / "everything-values.yaml")).items():
        if key not in objects:
            objects[key], where[key] = item, _SWITCHES[key]  # a new switch has its row there
    where |= {key: said for key, said in _SWITCHES.items() if key in base}
    for key in sorted(objects):
        kind, _, name = key.partition("/")
        about = objects[key]["metadata"]["annotations"]["kubernetes.io/description"]
        yield f"| {kind} `{name}` | {about} | {where[key]} |\n"


def _flat(value: Value) -> Iterator[Value]:
    yield value
    for row in value.below:
        yield from _flat(row)


def _row(row: Value) -> str:
    default = "" if row.below else f"`{json.dumps(row.default, ensure_ascii=False)}`"
    return f"| `{'.'.join(row.path)}` | {default} | {row.about} |\n".replace("|  |", "| |")
