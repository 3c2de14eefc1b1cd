"""A storage in memory keeps the promises of the protocol, whatever it claims."""

from __future__ import annotations

import pytest

from paperfleet.model import NINE_METHODS
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.testing.storage_suite import StorageSuite


class MemoryBypass:
    def __init__(self, storage: MemoryBackend) -> None:
        self._storage = storage

    def read(self, name: str) -> bytes:
        return self._storage.files[name]

    def write(self, name: str, content: bytes) -> None:
        self._storage.files[name] = content

    def names(self) -> set[str]:
        return set(self._storage.files)


class MemorySuite(StorageSuite):
    @pytest.fixture
    def bypass(self, storage: MemoryBackend) -> MemoryBypass:
        return MemoryBypass(storage)


class TestMemory(MemorySuite):
    @pytest.fixture
    def storage(self) -> MemoryBackend:
        return MemoryBackend()


class TestMemoryWithTheNineMethods(MemorySuite):
    @pytest.fixture
    def storage(self) -> MemoryBackend:
        return MemoryBackend(capabilities=NINE_METHODS)


class TestMemoryThatComparesNamesLoosely(MemorySuite):
    @pytest.fixture
    def storage(self) -> MemoryBackend:
        return MemoryBackend(unicode_form="NFC", case_sensitive=False)
