"""``make manifests``: what is made from the Helm chart.

The chart is the only source. From it come ``deploy/kubernetes/base``, the files of the components
but their ``kustomization.yaml`` and ``values.yaml``, the schema of the values, and the page.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import yaml
from tests.deploy import chart_values, page
from tests.deploy.manifests import (
    CHART,
    KUSTOMIZE,
    NAMESPACE,
    RELEASE,
    ROOT,
    Object,
    missing,
    objects_of,
    plain,
    run,
    values_of,
)

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "# Made by `make manifests` from deploy/helm/paperfleet; a test compares the two.\n"
WRITTEN = ("kustomization.yaml", "values.yaml")
"""What people write in the folder of a component."""


def made() -> dict[str, str]:
    """Return the text of every file that is made from the chart, by its path from the top."""
    base = KUSTOMIZE / "base"
    files = {base / name: text for name, text in _base().items()}
    for folder in sorted((KUSTOMIZE / "components").iterdir()):
        files |= {folder / name: text for name, text in _component(folder.name).items()}
    files[CHART / "values.schema.json"] = (
        json.dumps(chart_values.schema(), indent=2, ensure_ascii=False) + "\n"
    )
    return {path.relative_to(ROOT).as_posix(): text for path, text in files.items()}


def present() -> set[str]:
    """Return the files that are there, of those that only the chart may make."""
    folders = [KUSTOMIZE / "base", *(KUSTOMIZE / "components").iterdir()]
    files = {path for folder in folders for path in folder.iterdir()}
    written = {path for path in files if path.name in WRITTEN and path.parent.name != "base"}
    found = files - written - {KUSTOMIZE / "base" / "values.yaml"}
    return {path.relative_to(ROOT).as_posix() for path in found}


def _files(*values: Path) -> dict[str, list[Object]]:
    """Return the objects by the name of the template that they come from, as kustomize has them."""
    words = [word for path in values for word in ("--values", path)]
    text = run("helm", "template", RELEASE, CHART, "--namespace", NAMESPACE, *words)
    found: dict[str, list[Object]] = {}
    for part in re.split(r"^---$", text, flags=re.MULTILINE):
        if source := re.search(r"^# Source: \S+/templates/(\S+)$", part, re.MULTILINE):
            found.setdefault(source.group(1), []).extend(map(plain, objects_of(part).values()))
    return found


def _base() -> dict[str, str]:
    files = _files(KUSTOMIZE / "base" / "values.yaml")
    (settings,) = (one for one in files["config.yaml"] if one["kind"] == "ConfigMap")
    files["config.yaml"].remove(settings)
    metadata = settings["metadata"]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": sorted(files),
        "configMapGenerator": [
            {
                "name": metadata["name"],
                "envs": ["config.env"],
                "options": {key: metadata[key] for key in ("labels", "annotations")},
            }
        ],
    }
    lines = [f"{name}={value}\n" for name, value in sorted(settings["data"].items())]
    return {
        "kustomization.yaml": HEAD + _dump(kustomization),
        "config.env": HEAD + "".join(lines),
        **_texts(files),
    }


def _component(component: str) -> dict[str, str]:
    """Return the files with the objects that a component has beside those of the base.

    The overlay of its name has nothing more.
    """
    base = KUSTOMIZE / "base" / "values.yaml"
    known = {_key(item) for items in _files(base).values() for item in items}
    found = _files(*values_of(component))
    more = {name: [one for one in items if _key(one) not in known] for name, items in found.items()}
    return _texts({name: items for name, items in more.items() if items})


def _key(item: Object) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


def _texts(files: dict[str, list[Object]]) -> dict[str, str]:
    return {name: HEAD + "---\n".join(map(_dump, items)) for name, items in files.items()}


def _dump(item: Object) -> str:
    return yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    """Write all of them; what the chart does not give any more is removed."""
    if reason := missing():
        raise SystemExit(reason)
    files = made()
    for name in present() - files.keys():
        (ROOT / name).unlink()
    for name, text in files.items():
        (ROOT / name).write_text(text, encoding="utf-8")
    page.FILE.write_text(page.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
