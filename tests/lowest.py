"""``python -m tests.lowest``: the lowest versions that ``pyproject.toml`` lets a user install.

One requirement a line for pip, of the package and of all its extras: ``lxml>=5.3`` becomes
``lxml==5.3``. What the tests themselves use keeps its locked version: users do not install it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest() -> list[str]:
    """Return the requirements, each at its lower bound; ``ValueError`` for one that has none."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = sorted({*project["dependencies"], *(name for extra in extras for name in extra)})
    pinned = [_at_its_bound(requirement) for requirement in wanted]
    # A package that one extra wants with an extra of its own is installed with that.
    return [one for one in pinned if not any(_has_more(other, one) for other in pinned)]


def _has_more(one: str, other: str) -> bool:
    return one != other and re.sub(r"\[\w+\]", "", one) == other


def _at_its_bound(requirement: str) -> str:
    found = re.fullmatch(r"([\w.-]+(?:\[\w+\])?)>=([\d.]+)((?:\s*;.*)?)", requirement)
    if not found:
        raise ValueError(f"{requirement!r} has no plain lower bound, such as name>=1.2")
    name, version, marker = found.groups()
    return f"{name}=={version}{marker}"


if __name__ == "__main__":
    print(*lowest(), sep="\n")
