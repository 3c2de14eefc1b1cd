"""The storage of the children: in memory, so that tests see past it, count, and make it fail."""

from __future__ import annotations

import json
import sqlite3
import uuid
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from paperfleet.storage.memory.backend import EVERYTHING, MemoryBackend
from paperfleet.testing.faults import FaultyStorage

if TYPE_CHECKING:
    from pathlib import Path

LIKE_A_BUCKET = replace(
    EVERYTHING, folders=False, folder_etags=False, move_folder=False, survey=False
)
memory = MemoryBackend(capabilities=LIKE_A_BUCKET)
store = FaultyStorage(memory)


def bucket() -> FaultyStorage:
    """Return the storage that all of a process share."""
    return store


class NoSave:
    """A storage that lacks a method."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def open(self, name: str) -> None:
        pass

    def delete(self, name: str) -> None:
        pass

    def exists(self, name: str) -> None:
        pass

    def move(self, old_name: str, new_name: str) -> None:
        pass

    def list_files(self, prefix: str = "") -> None:
        pass

    def size(self, name: str) -> None:
        pass


def belonging(data: Path, place: Path) -> Path:
    """Make a folder ``data`` with a copy of the database, whose documents are in ``place``."""
    from django.conf import settings

    place.mkdir(parents=True, exist_ok=True)
    data.mkdir()
    identity, name = uuid.uuid4(), uuid.uuid4().hex
    mark = {"database": str(identity), "storage": name}
    (place / "paperfleet.json").write_text(json.dumps(mark))
    with (
        closing(sqlite3.connect(settings.DATABASES["default"]["NAME"])) as own,
        closing(sqlite3.connect(data / "db.sqlite3")) as copy,
    ):
        own.backup(copy)
        copy.execute("DELETE FROM paperfleet_installation")
        copy.execute(
            "INSERT INTO paperfleet_installation (identity, migrating_from, storage, storage_label)"
            " VALUES (?, '', ?, ?)",
            (identity.hex, name, place.resolve().as_uri()),
        )
        copy.commit()
    return data
