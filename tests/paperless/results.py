"""The results of ``make test-paperless`` for each version, and the page that shows them."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.paperless.checkout import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.paperless.checkout import Checkout
    from tests.paperless.upstream_compare import Comparison, Outcome

FOLDER = ROOT / "tests" / "paperless" / "results"
FLEET = "tests/paperless/test_e2e_fleet.py"
PAGE = ROOT / "docs" / "reference" / "tested-versions.md"
_HEAD = """\
# Tested versions of paperless-ngx

`make test-paperless` wrote this page from `tests/paperless/results/`.

*Own tests* are those that paperless-ngx brings along. They run twice: without the app, and with it
while originals and archives are in a storage that is not the local disk, where a document on the
local disk is a failure. What fails in both runs fails on the test machine for its own reasons. What
fails only with the app gets a second try by itself, as some of these tests depend on time and on
the machine's limits.
*End-to-end* are ours: web server, worker, scheduler and consumer with PostgreSQL, Redis and two S3
servers. *Fleet* are those on three machines without a folder in common, with each fault that
[befalls them](../concepts/fleet.md), on the day that is named there.

A tested version works without a word, as do those between two of its minor series. Another one of
the same major version works when every replaced name is there and the self-test passes, which
each process runs when it starts; the log and `manage.py check` (paperfleet.W103) then say that it
was not tested. So do they when a version is older than the newest that the database has seen
(paperfleet.W104). Candidates of a release mostly call themselves like a release, and cannot be
told apart. A new major version is refused (`PAPERFLEET_ALLOW_UNTESTED_VERSION`).

| paperless-ngx | Python | pass without | of these with | declared | end-to-end | on | fleet |
|---|---|---|---|---|---|---|---|
"""


def store_comparison(paperless: Checkout, comparison: Comparison) -> None:
    """Keep the comparison of paperless-ngx's own tests."""
    _store(
        paperless,
        own={
            "without": dict(comparison.without),
            "with": dict(comparison.with_app),
            "same": comparison.same,
            "declared": comparison.declared,
            "regressions": sorted(comparison.regressions),
            "stale": comparison.stale,
        },
    )


def store_end_to_end(paperless: Checkout, outcomes: Mapping[str, Outcome]) -> None:
    """Keep the outcome of our own tests; those of a fleet have a part, and a date, of their own."""
    of_fleet = {name: one for name, one in outcomes.items() if name.startswith(f"{FLEET}::")}
    others = {name: one for name, one in outcomes.items() if name not in of_fleet}
    if others:
        _store(paperless, end_to_end=_summary(others))
    if of_fleet:
        _store(paperless, dated=False, fleet=_summary(of_fleet) | {"date": _today()})


def _summary(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    counts = Counter(outcome.result for outcome in outcomes.values())
    failed = sorted(n for n, one in outcomes.items() if one.result in {"failed", "error"})
    return {"counts": dict(counts), "failed": failed}


def _store(paperless: Checkout, *, dated: bool = True, **parts: Any) -> None:  # noqa: ANN401  # JSON
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"v{paperless.label}-python{_python(paperless)}.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    known |= {"version": paperless.label, "python": _python(paperless), **parts}
    if dated or "date" not in known:
        known["date"] = _today()
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


def _python(paperless: Checkout) -> str:
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run(
        [paperless.python, "-c", probe], capture_output=True, text=True, timeout=60, check=True
    )
    return answer.stdout.strip()


def page(folder: Path = FOLDER) -> str:
    """Return the page for people."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    found.sort(key=lambda one: [*map(int, one["version"].split(".")), one["python"]], reverse=True)
    rows = "".join(map(_row, found)) or "| none yet | | | | | | | |\n"
    return _HEAD + rows + "".join(map(_exceptions, found))


def _row(found: Mapping[str, Any]) -> str:
    own, ours = found.get("own"), found.get("end_to_end")
    cells = [found["version"], found["python"]]
    if own:
        cells += [own["without"].get("passed", 0), own["same"], len(own["declared"])]
    else:
        cells += ["not run"] * 3
    cells += [_counts(ours["counts"]) if ours else "not run", found["date"]]
    fleet = found.get("fleet")
    cells += [f"{_counts(fleet['counts'])}, {fleet['date']}" if fleet else "not run"]
    return f"| {' | '.join(map(str, cells))} |\n"


def _counts(counts: Mapping[str, int]) -> str:
    order = ("passed", "failed", "error", "skipped")
    return ", ".join(f"{counts[result]} {result}" for result in order if counts.get(result))


def _exceptions(found: Mapping[str, Any]) -> str:
    own = found.get("own", {})
    failed = [
        test for part in ("end_to_end", "fleet") for test in found.get(part, {}).get("failed", [])
    ]
    lines = [f"* `{test}`: {reason}" for test, reason in own.get("declared", {}).items()]
    lines += [f"* `{test}` fails with the app" for test in own.get("regressions", [])]
    lines += [f"* `{test}` fails" for test in failed]
    title = f"\n## {found['version']} on Python {found['python']}: what does not pass\n\n"
    return title + "\n".join(lines) + "\n" if lines else ""


def write_page() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write_page()
