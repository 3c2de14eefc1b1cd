"""The queries for KEDA's postgresql trigger as files; ``make docs`` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.paperless.children import REPOSITORY

from paperfleet.paperless.scaling.queries import KINDS, query

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = REPOSITORY / "deploy" / "scaling"


def files() -> dict[Path, str]:
    """Return what each file has to hold."""
    return {FOLDER / f"{kind}.sql": query(kind) for kind in KINDS}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
