"""Homes in memory and rows without a database."""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

from paperfleet.paperless.areas import ARCHIVE, ORIGINALS
from paperfleet.paperless.documents import rows
from paperfleet.paperless.documents.rows import Expected
from paperfleet.paperless.homes import Home
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pytest

    from paperfleet.transfer.migrate import FileEvent, MigrationPlanned

AREAS = (ORIGINALS, ARCHIVE)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def home_of(files: dict[str, bytes]) -> Home:
    storage = MemoryBackend()
    with storage:
        for name, content in files.items():
            storage.save(name, io.BytesIO(content))
    return Home(storage)


def held(home: Home) -> dict[str, bytes]:
    with home.base as storage:
        return {name: storage.open(name).read() for name in storage.list_files()}


class Rows:
    """What the database says; stands in for the functions of ``rows``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.files: dict[tuple[str, int], Expected] = {}
        for name in ("expected", "again", "named"):
            monkeypatch.setattr(rows, name, getattr(self, name))

    def add(self, row: int, name: str, checksum: str, area: str = ORIGINALS) -> Expected:
        file = Expected(area, name, row, checksum)
        self.files[area, row] = file
        return file

    def expected(self, areas: Collection[str]) -> Iterator[Expected]:
        return (file for file in list(self.files.values()) if file.area in areas)

    def again(self, file: Expected) -> Expected | None:
        return self.files.get((file.area, file.row))

    def named(self, area: str, name: str) -> Expected | None:
        wanted = (area, name)
        return next((one for one in self.files.values() if (one.area, one.name) == wanted), None)


@contextmanager
def no_rest() -> Iterator[None]:
    yield


def silent(event: FileEvent | MigrationPlanned) -> None:
    """Take the events of a migration and show nothing."""
