"""Comparing two runs of paperless-ngx's own tests, without and with the app. No I/O but reading."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree
from tests.paperless import checkout

if TYPE_CHECKING:
    from collections.abc import Mapping

DECLARED = Path(__file__).with_name("upstream_declared.toml")
_WORST_FIRST = ("error", "failed", "skipped", "passed")


@dataclass(frozen=True)
class Outcome:
    """How a test ended: ``passed``, ``skipped``, ``failed`` or ``error``, and its text if so."""

    result: str
    text: str = ""


def read_junit(path: Path) -> dict[str, Outcome]:
    """Return the outcome of each test of a JUnit file, by its node id; the worst if there are many.

    The file is one of pytest's family ``xunit1``, which names the file of each test.
    """
    found: dict[str, Outcome] = {}
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    for case in etree.parse(str(path), parser).getroot().iter("testcase"):
        name = _node_id({str(key): str(value) for key, value in case.attrib.items()})
        outcome = _outcome(case)
        known = found.get(name, outcome)
        found[name] = min(known, outcome, key=lambda one: _WORST_FIRST.index(one.result))
    return found


def resumed(outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Return outcomes in which a test that was left, as it had passed before, has passed."""
    return {
        name: Outcome("passed") if one.text.startswith(checkout.HAS_PASSED) else one
        for name, one in outcomes.items()
    }


def _node_id(attributes: Mapping[str, str]) -> str:
    file, classes = attributes.get("file", ""), attributes["classname"]
    if not file:  # a file that could not be collected
        return f"{classes}::{attributes['name']}".lstrip(":")
    module = file.removesuffix(".py").replace("/", ".")
    inner = classes.removeprefix(module).strip(".").replace(".", "::")
    return "::".join(part for part in (file, inner, attributes["name"]) if part)


def _outcome(case: etree._Element) -> Outcome:
    for tag, result in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
        found = case.find(tag)
        if found is not None:
            return Outcome(result, str(found.get("message", "")))
    return Outcome("passed")


@dataclass
class Comparison:
    """What the app changes: by node id, with the reason or the text of the failure."""

    without: Counter[str]
    with_app: Counter[str]
    same: int = 0
    declared: dict[str, str] = field(default_factory=dict)
    regressions: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    """Declared, and yet they pass: the declaration has to go."""

    @property
    def good(self) -> bool:
        """Whether every test that passed without the app passes with it, as declared."""
        return not self.regressions and not self.stale and self.same > 0


def compare(
    without: Mapping[str, Outcome], with_app: Mapping[str, Outcome], declared: Mapping[str, str]
) -> Comparison:
    """Compare the two; ``declared`` are the tests that cannot pass, each with the reason."""
    found = Comparison(_counted(without), _counted(with_app))
    for name, before in without.items():
        if before.result != "passed":
            continue
        after = with_app.get(name, Outcome("error", "it was not run"))
        if after.result == "passed":
            found.same += 1
            if name in declared:
                found.stale.append(name)
        elif name in declared:
            found.declared[name] = declared[name]
        else:
            found.regressions[name] = f"{after.result}: {after.text}"
    return found


def _counted(outcomes: Mapping[str, Outcome]) -> Counter[str]:
    return Counter(outcome.result for outcome in outcomes.values())


def declared_for(version: str, path: Path = DECLARED) -> dict[str, str]:
    """Return the tests that cannot pass in a version, each with the reason."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        entry["test"]: entry["reason"]
        for entry in table.get("test", [])
        if any(version.startswith(start) for start in entry["versions"])
    }


def as_text(comparison: Comparison) -> str:
    """Return the comparison for a terminal."""
    lines = [f"{'':12}{'passed':>8}{'failed':>8}{'errors':>8}{'skipped':>8}"]
    for title, counts in (("without", comparison.without), ("with", comparison.with_app)):
        numbers = "".join(f"{counts[one]:8}" for one in ("passed", "failed", "error", "skipped"))
        lines.append(f"{title:12}{numbers}")
    lines.append(f"{comparison.same} pass without and with the app")
    for title, tests in (
        ("declared", comparison.declared),
        ("FAILS WITH THE APP", comparison.regressions),
        ("DECLARED, YET PASSES", dict.fromkeys(comparison.stale, "")),
    ):
        lines += [f"{title}: {name}\n    {text[:400]}".rstrip() for name, text in tests.items()]
    return "\n".join(lines)
