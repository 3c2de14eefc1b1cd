"""Judge objects by the schemas of Kubernetes, KEDA and the Prometheus operator.

``.venv-kubernetes/bin/python tests/deploy/judging.py VERSION…``, as the schemas are in that
environment: reads a JSON list of objects and prints a line for each that a schema refuses. Unknown
fields are refused everywhere.
"""

from __future__ import annotations

import importlib
import json
import sys
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate

CUSTOM = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}


def refusal(item: dict[str, Any], version: str) -> str:
    """Return why a schema refuses an object; '' when it does not."""
    try:
        if item["apiVersion"] in CUSTOM:
            jsonschema.validate(item, custom(item["apiVersion"], item["kind"]))
        else:
            used = kubernetes_validate.validate(item, version, strict=True)
            if used != version:
                return f"there is no schema of {version}"
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        path = ".".join(map(str, error.path))
        return f"{path}: {error.message}"
    return ""


@cache
def custom(version: str, kind: str) -> dict[str, Any]:
    """Return the schema of a custom resource, which refuses what it does not know."""
    model = getattr(importlib.import_module(CUSTOM[version]), kind)
    found: dict[str, Any] = model.model_json_schema(by_alias=True)
    for one in (found, *found.get("$defs", {}).values()):
        if "properties" in one:
            one["additionalProperties"] = False
    return found


def main() -> None:
    """Print what is refused."""
    objects = json.load(sys.stdin)
    for version in sys.argv[1:]:
        for item in objects:
            if reason := refusal(item, version):
                name = f"{item['kind']}/{item['metadata']['name']}"
                sys.stdout.write(f"{version} {name}: {reason}\n")


if __name__ == "__main__":
    main()
