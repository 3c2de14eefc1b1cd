"""A storage whose calls are tried again keeps the promises of the protocol, whatever fails."""

from __future__ import annotations

import threading
from typing import ClassVar

import pytest

from paperfleet.errors import LockedError, UnavailableError
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.wrappers.retrying import Retrying
from paperfleet.testing.faults import Call, FaultyStorage
from paperfleet.testing.storage_suite import StorageSuite


class EveryThirdCallFails(FaultyStorage):
    """In each thread, for each operation, by turns without and with an effect."""

    def __init__(self, inner: MemoryBackend) -> None:
        super().__init__(inner, before=self._refuse, after=self._lose_the_answer)
        self._counts = threading.local()

    def _refuse(self, call: Call) -> None:
        if self._count(call, 1) % 6 == 4:
            raise LockedError("refused")

    def _lose_the_answer(self, call: Call) -> None:
        if self._count(call, 0) % 6 == 1:
            raise UnavailableError("lost")

    def _count(self, call: Call, more: int) -> int:
        if call.operation in {"enter", "exit"}:
            return 0
        count: int = getattr(self._counts, call.operation, 0) + more
        setattr(self._counts, call.operation, count)
        return count


class TestRetryingWhileThingsFail(StorageSuite):
    exceptions: ClassVar = {
        "test_save_from_content_that_cannot_be_rewound": "it cannot be sent again either",
        "test_broken_content_makes_no_file": "content that cannot be rewound gets one try",
        "test_broken_content_leaves_the_old_file": "content that cannot be rewound gets one try",
        "test_broken_content_can_be_saved_again": "content that cannot be rewound gets one try",
    }

    @pytest.fixture
    def inner(self) -> MemoryBackend:
        return MemoryBackend()

    @pytest.fixture
    def storage(self, inner: MemoryBackend) -> Retrying:
        return Retrying(EveryThirdCallFails(inner), tries=5, sleep=lambda _: None)

    @pytest.fixture
    def bypass(self, inner: MemoryBackend) -> MemoryBypass:
        return MemoryBypass(inner)


class MemoryBypass:
    def __init__(self, storage: MemoryBackend) -> None:
        self._storage = storage

    def read(self, name: str) -> bytes:
        return self._storage.files[name]

    def write(self, name: str, content: bytes) -> None:
        self._storage.files[name] = content

    def names(self) -> set[str]:
        return set(self._storage.files)
