"""Trees of documents that are the same on every machine."""

from __future__ import annotations

import math
import os
import random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_OLDEST = 1_700_000_000  # seconds: documents are older than the run that sends them
_YEAR = 365 * 24 * 3600


class Tree(NamedTuple):
    """What to plant; sizes in bytes, spread evenly on a logarithmic scale."""

    files: int
    folders: int
    smallest: int
    largest: int
    seed: int

    def __str__(self) -> str:
        """Describe it for the report."""
        sizes = f"{self.smallest / 1000:g} to {self.largest / 1000:g} KB"
        folders = "1 folder" if self.folders == 1 else f"{self.folders} folders"
        return f"{self.files:,} files of {sizes} in {folders}"


def plant(root: Path, tree: Tree) -> int:
    """Make the tree below ``root`` and return its bytes."""
    chance = random.Random(tree.seed)  # noqa: S311  # the same tree every time, nothing secret
    total = 0
    for number in range(tree.files):
        folder = root / f"folder {number % tree.folders:03}"
        folder.mkdir(parents=True, exist_ok=True)
        low, high = math.log(tree.smallest), math.log(tree.largest)
        content = chance.randbytes(round(math.exp(chance.uniform(low, high))))
        _write(folder / f"document {number:05}.pdf", content, chance.randrange(_YEAR * 10**9))
        total += len(content)
    return total


def plant_many(root: Path, files: int) -> None:
    """Make so many small files, 100 in a folder, 50 folders in a folder."""
    for number in range(0, files, 100):
        folder = root / f"{number // 5000:03}" / f"{number // 100:05}"
        folder.mkdir(parents=True)
        for last in range(number, min(number + 100, files)):
            (folder / f"document {last:06}.txt").write_text(f"This is document {last}.\n" * 8)


def link_tree(source: Path, copy: Path) -> None:
    """Make a second tree of the same files by hard links."""
    for folder, _, names in os.walk(source):
        other = copy / os.path.relpath(folder, source)
        other.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.link(os.path.join(folder, name), other / name)  # noqa: PTH118  # 100,000 of them


def contents(root: Path) -> dict[str, bytes]:
    """Return every file below ``root`` with its bytes."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def _write(path: Path, content: bytes, age_ns: int) -> None:
    path.write_bytes(content)
    modified = _OLDEST * 10**9 + age_ns
    os.utime(path, ns=(modified, modified))
