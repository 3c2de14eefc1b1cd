"""What ``values.yaml`` of the chart says: values, defaults, descriptions, schemas."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import yaml
from tests.deploy.manifests import CHART

TYPES = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}
FREE = "resources"
"""A value that is handed on as it is, though its default has keys."""


class Value(NamedTuple):
    """One value: ``about`` is its description, ``schema`` what else its schema says."""

    path: tuple[str, ...]
    default: Any
    about: str
    schema: dict[str, Any]
    below: list[Value]


def values() -> list[Value]:
    """Return the values of the chart in their order."""
    text = (CHART / "values.yaml").read_text("utf-8")
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    return _below(node, yaml.safe_load(text), (), text.splitlines())


def _below(
    node: yaml.MappingNode, defaults: dict[str, Any], path: tuple[str, ...], lines: list[str]
) -> list[Value]:
    found = []
    for key, value in node.value:
        here = (*path, str(key.value))
        about, schema = _comment(lines, key.start_mark.line)
        default = defaults[key.value]
        nested = isinstance(value, yaml.MappingNode) and value.value and key.value != FREE
        below = _below(value, default, here, lines) if nested else []
        found.append(Value(here, default, about, schema, below))
    return found


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    above: list[str] = []
    while line > 0 and lines[line - 1].strip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].strip().removeprefix("#").strip())
    extra = [text.removeprefix("@schema") for text in above if text.startswith("@schema")]
    said = " ".join(text for text in above if not text.startswith("@schema"))
    return said, json.loads(extra[0]) if extra else {}


def schema() -> dict[str, Any]:
    """Return the JSON schema of the values: of the type of their default, and no others."""
    found = _object(values())
    # Helm hands these to every chart.
    found["properties"] |= {"global": {"type": "object"}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Made by `make manifests` from values.yaml; a test compares the two.",
        **found,
    }


def _object(rows: list[Value]) -> dict[str, Any]:
    properties = {row.path[-1]: _schema_of(row) for row in rows}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _schema_of(row: Value) -> dict[str, Any]:
    if row.below:
        return {"description": row.about, **_object(row.below)}
    found: dict[str, Any] = {"description": row.about, "type": TYPES[type(row.default)]}
    if "patternProperties" in row.schema:
        found["additionalProperties"] = False
    return found | row.schema
