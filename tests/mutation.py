"""Mutates what decides about documents, and says how much of that the tests notice.

``make mutation`` runs it: mutmut changes one thing at a time (``[tool.mutmut]`` of pyproject.toml
says where, and by which tests), and a mutant that no test notices survives. Texts for people are
mutated too, so that a part always survives. Ends with 1 below ``LEAST``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, defaultdict

LEAST = 0.75
"""Below this share, somebody changed a decision and no test."""
NOTICED = frozenset({"killed", "timeout", "segfault"})
_LINE = re.compile(r"\s*paperfleet\.([\w.]+?)\.x[_ǁ]\S*: (.+)")
_MUTMUT = (sys.executable, "-m", "mutmut")


def counted(results: str) -> dict[str, Counter[str]]:
    """Return by module how many mutants ended in which way, from ``mutmut results``."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in results.splitlines():
        if match := _LINE.fullmatch(line):
            found[match[1]][match[2]] += 1
    return found


def score(ends: Counter[str]) -> float:
    """Return the share of mutants that were noticed, of those that were tried."""
    tried = ends.total() - ends["not checked"]
    return sum(ends[end] for end in NOTICED) / tried if tried else 0.0


def table(found: dict[str, Counter[str]]) -> str:
    """Return a line for each module, and one for all."""
    all_of_them: Counter[str] = sum(found.values(), Counter())
    rows = [*sorted(found.items()), ("all", all_of_them)]
    lines = [
        f"{'module':<28} {'mutants':>8} {'noticed':>8} {'survived':>9} {'no test':>8} {'share':>6}"
    ]
    for module, ends in rows:
        noticed = sum(ends[end] for end in NOTICED)
        lines.append(
            f"{module:<28} {ends.total():>8} {noticed:>8} {ends['survived']:>9}"
            f" {ends['no tests']:>8} {score(ends):>6.0%}"
        )
    return "\n".join(lines)


def main() -> int:
    """Run mutmut, print the table, say whether the share is enough."""
    subprocess.run([*_MUTMUT, "run"], check=True)
    command = [*_MUTMUT, "results", "--all", "true"]
    results = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = counted(results)
    print(table(found))
    if not found:
        print("mutmut told of no mutant", file=sys.stderr)
        return 1
    return 0 if score(sum(found.values(), Counter())) >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
