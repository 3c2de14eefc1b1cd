"""The storage of the children: in memory, so that tests see past it, count, and make it fail."""

from __future__ import annotations

from dataclasses import replace

from paperfleet.storage.backends.memory import EVERYTHING, MemoryBackend
from paperfleet.testing.faults import FaultyStorage

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
