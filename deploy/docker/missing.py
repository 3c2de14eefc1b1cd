"""Print those requirements of a locked file that this Python has not, whatever their version.

``python3 missing.py requirements/paperless.txt``: what paperless-ngx's image has stays as it is.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from re import split


def has(name: str) -> bool:
    """Say whether a distribution is installed."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def blocks(text: str) -> list[str]:
    """Return each requirement with its hashes, which are on the lines below it."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [block for block in split(r"\n(?=\S)", lines.strip("\n")) if block]


if __name__ == "__main__":
    for block in blocks(Path(sys.argv[1]).read_text(encoding="utf-8")):
        if not has(split(r"[\[=]", block)[0]):
            print(block)
