"""Turn results into JSON files and into the tables of README.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.results import Result, Row

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
_MANY = 10  # so many samples are told by median and 95th percentile, fewer by their bounds


def write_json(folder: Path, result: Result, machine: Mapping[str, object]) -> None:
    """Write one result with what it was measured on to ``<name>.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**result.as_json(), "machine": machine}, indent=1, ensure_ascii=False)
    (folder / f"{result.name}.json").write_text(text + "\n", encoding="utf-8")


def markdown(results: Sequence[Result], machine: Mapping[str, object]) -> str:
    """Return the tables."""
    parts = [_machine_line(machine)]
    for result in results:
        parts += [f"### {result.title}", result.about, _table(result), _verdicts(result)]
    return "\n\n".join(part for part in parts if part)


def update_readme(path: Path, tables: str) -> None:
    """Put the tables between the two marks in a file."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no place for the results")
    path.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", encoding="utf-8")


def _machine_line(machine: Mapping[str, object]) -> str:
    shown = {key.replace("_", " "): value for key, value in machine.items() if value is not None}
    return "Measured on: " + ", ".join(f"{key} {value}" for key, value in shown.items()) + "."


def _table(result: Result) -> str:
    if not result.rows:
        return ""
    metrics = list(dict.fromkeys(row.metric for row in result.rows))
    head = ["server", "client", *metrics]
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "---:|" * len(metrics)]
    for server, client in dict.fromkeys((row.server, row.client) for row in result.rows):
        cells = [_cell(result.find(server, client, metric)) for metric in metrics]
        lines.append(f"| {server} | {client} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    unit = f" {row.unit}" if row.unit else ""
    if len(row.samples) >= _MANY:
        return f"p50 {_number(row.median)}, p95 {_number(row.p95)}{unit}"
    low, high = _number(min(row.samples)), _number(max(row.samples))
    bounds = "" if low == high else f" ({low} to {high})"
    detail = f" · {row.details[-1]}" if row.details else ""
    return f"**{_number(row.median)}**{unit}{bounds}{detail}"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def _verdicts(result: Result) -> str:
    if not result.verdicts:
        return ""
    lines = ["| to reach | server | measured | reached |", "|---|---|---|---|"]
    for verdict in result.verdicts:
        reached = "yes" if verdict.reached else "**no**"
        lines.append(f"| {verdict.target} | {verdict.server} | {verdict.measured} | {reached} |")
    return "\n".join(lines)
