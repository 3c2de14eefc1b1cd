"""A folder of a storage keeps the promises of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.wrappers.prefixed import Prefixed
from paperfleet.testing.storage_suite import FolderBypass, StorageSuite

if TYPE_CHECKING:
    from pathlib import Path


class TestPrefixedLocal(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Prefixed:
        return Prefixed(LocalBackend(tmp_path), "one/two")

    @pytest.fixture
    def bypass(self, tmp_path: Path) -> FolderBypass:
        return FolderBypass(tmp_path / "one" / "two")


class PrefixedMemoryBypass:
    def __init__(self, storage: MemoryBackend) -> None:
        self._storage = storage

    def read(self, name: str) -> bytes:
        return self._storage.files[f"é/{name}"]

    def write(self, name: str, content: bytes) -> None:
        self._storage.files[f"é/{name}"] = content

    def names(self) -> set[str]:
        return {name.removeprefix("é/") for name in self._storage.files}


class TestPrefixedMemory(StorageSuite):
    @pytest.fixture
    def inner(self) -> MemoryBackend:
        return MemoryBackend(unicode_form="NFC")

    @pytest.fixture
    def storage(self, inner: MemoryBackend) -> Prefixed:
        return Prefixed(inner, "e\u0301/")

    @pytest.fixture
    def bypass(self, inner: MemoryBackend) -> PrefixedMemoryBypass:
        return PrefixedMemoryBypass(inner)
