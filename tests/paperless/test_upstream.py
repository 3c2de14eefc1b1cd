"""How runs of paperless-ngx's own tests are compared, and what the page says; needs none of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.paperless import checkout, results
from tests.paperless.upstream_compare import (
    Outcome,
    as_text,
    compare,
    declared_for,
    read_junit,
    resumed,
)

if TYPE_CHECKING:
    import pytest

PASSED, FAILED, SKIPPED = Outcome("passed"), Outcome("failed", "no"), Outcome("skipped")


def test_what_passed_without_has_to_pass_with_the_app() -> None:
    found = compare(
        {"same": PASSED, "broken": PASSED, "lost": PASSED, "skip": PASSED, "never": FAILED},
        {"same": PASSED, "broken": FAILED, "skip": SKIPPED, "never": FAILED, "new": PASSED},
        {},
    )
    assert found.same == 1
    assert found.regressions == {
        "broken": "failed: no",
        "lost": "error: it was not run",
        "skip": "skipped: ",
    }
    assert not found.good


def test_what_is_declared_may_fail_and_must_not_pass() -> None:
    declared = {"mocks": "it mocks what is replaced"}
    fails = compare({"mocks": PASSED, "a": PASSED}, {"mocks": FAILED, "a": PASSED}, declared)
    assert fails.good
    assert fails.declared == declared
    passes = compare({"mocks": PASSED}, {"mocks": PASSED}, declared)
    assert passes.stale == ["mocks"]
    assert not passes.good
    assert "DECLARED, YET PASSES: mocks" in as_text(passes)


def test_nothing_run_is_nothing_good() -> None:
    assert not compare({}, {}, {}).good


def test_a_junit_file_is_read_by_node_id_and_the_worst_counts(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(
        """<testsuites><testsuite>
        <testcase classname="src.a.tests.test_x.TestY" name="one" file="src/a/tests/test_x.py"/>
        <testcase classname="src.a.tests.test_x.TestY" name="one" file="src/a/tests/test_x.py">
          <error message="at the end"/></testcase>
        <testcase classname="src.a.tests.test_x" name="two[a]" file="src/a/tests/test_x.py">
          <failure message="wrong"/></testcase>
        <testcase classname="src.a.tests.test_x" name="three" file="src/a/tests/test_x.py">
          <skipped/></testcase>
        <testcase classname="" name="src.a.tests.test_z"><error message="import"/></testcase>
        </testsuite></testsuites>"""
    )
    assert read_junit(path) == {
        "src/a/tests/test_x.py::TestY::one": Outcome("error", "at the end"),
        "src/a/tests/test_x.py::two[a]": Outcome("failed", "wrong"),
        "src/a/tests/test_x.py::three": Outcome("skipped"),
        "src.a.tests.test_z": Outcome("error", "import"),
    }


def test_what_passed_in_a_run_before_has_passed_and_is_not_skipped() -> None:
    left = Outcome("skipped", f"{checkout.HAS_PASSED}noted.txt")
    assert resumed({"before": left, "now": PASSED, "skip": SKIPPED, "never": FAILED}) == {
        "before": PASSED,
        "now": PASSED,
        "skip": SKIPPED,
        "never": FAILED,
    }


def test_declarations_are_for_versions(tmp_path: Path) -> None:
    path = tmp_path / "declared.toml"
    path.write_text('[[test]]\ntest = "a::b"\nversions = ["3."]\nreason = "why"\n')
    assert declared_for("3.0.5", path) == {"a::b": "why"}
    assert declared_for("2.20.15", path) == {}


def test_the_page_shows_the_newest_first_and_every_exception(tmp_path: Path) -> None:
    for version in ("2.20.15", "3.0.5"):
        about = {
            "version": version,
            "python": "3.11",
            "date": "2026-01-31",
            "own": {
                "without": {"passed": 12, "failed": 1},
                "with": {"passed": 11},
                "same": 11,
                "declared": {"a::b": "why"},
                "regressions": [],
                "stale": [],
            },
            "end_to_end": {"counts": {"passed": 3, "skipped": 1}, "failed": []},
            "fleet": {"counts": {"passed": 2}, "failed": ["c::d"], "date": "2026-02-01"},
        }
        (tmp_path / f"v{version}.json").write_text(json.dumps(about))
    page = results.page(tmp_path)
    assert (
        "| 3.0.5 | 3.11 | 12 | 11 | 1 | 3 passed, 1 skipped | 2026-01-31 | 2 passed, 2026-02-01 |"
        in page
    )
    assert page.count("* `c::d` fails") == 2
    assert page.index("| 3.0.5") < page.index("| 2.20.15")
    assert page.count("* `a::b`: why") == 2


def test_a_fleet_s_tests_have_a_part_and_a_date_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "paperless").mkdir()
    (tmp_path / "paperless" / "version.py").write_text(
        "__version__: Final[tuple[int, int, int]] = (3, 0, 5)"
    )
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    paperless = checkout.Checkout(tmp_path, Path(sys.executable))

    def stored() -> dict[str, Any]:
        (path,) = tmp_path.glob("*.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    results.store_end_to_end(paperless, {"tests/a.py::one": PASSED, "tests/a.py::two": FAILED})
    known = stored() | {"date": "2026-01-31"}
    assert "fleet" not in known
    next(tmp_path.glob("*.json")).write_text(json.dumps(known))
    results.store_end_to_end(paperless, {f"{results.FLEET}::three": PASSED})
    fleet = stored().pop("fleet")
    assert fleet["counts"] == {"passed": 1}
    assert fleet["date"] > "2026-01-31"
    assert stored() == known | {"fleet": fleet}


def test_the_page_is_what_the_results_say() -> None:
    assert results.PAGE.read_text(encoding="utf-8") == results.page()
