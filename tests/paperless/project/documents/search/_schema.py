"""When an index is of use, and how one is opened."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1
ENTRIES = "entries.json"


class Index:
    """Words by the number of a document; without a folder in memory alone."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.entries = folder, dict[int, str]()

    def reload(self) -> None:
        if self.folder is not None and (self.folder / ENTRIES).exists():
            told = json.loads((self.folder / ENTRIES).read_text())
            self.entries = {int(number): words for number, words in told.items()}

    def commit(self, entries: dict[int, str]) -> None:
        if self.folder is not None:
            fresh = self.folder / f"{ENTRIES}.new"
            fresh.write_text(json.dumps(entries))
            fresh.replace(self.folder / ENTRIES)
        else:
            self.entries = dict(entries)


def needs_rebuild(index_dir: Path) -> bool:
    sentinel = index_dir / ".index_settings.json"
    return not sentinel.exists() or json.loads(sentinel.read_text()) != _wanted()


def wipe_index(index_dir: Path) -> None:
    for child in index_dir.iterdir():
        if child.is_dir():
            shutil.rmtree(child)
        else:
            child.unlink()


def write_sentinels(index_dir: Path) -> None:
    (index_dir / ".index_settings.json").write_text(json.dumps(_wanted()))


def open_or_rebuild_index(index_dir: Path | None = None) -> Index:
    folder: Path = index_dir or settings.INDEX_DIR
    if not folder.exists():
        return Index(None)
    if needs_rebuild(folder):
        wipe_index(folder)
        write_sentinels(folder)
    index = Index(folder)
    index.reload()
    return index


def _wanted() -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "language": settings.SEARCH_LANGUAGE}
