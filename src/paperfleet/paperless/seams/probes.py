"""What the self-test gives to paperless-ngx: it tells what was asked of it."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from paperfleet.paperless.documents import undeleted
from paperfleet.paperless.documents.verification import ContentDiffersError
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator


class MemoryProbe(MemoryBackend):
    """A storage that counts what costs a real one a transfer or a listing."""

    def __init__(self) -> None:
        super().__init__()
        self.costs = 0
        self.damaged: dict[str, str] = {}
        """By name the checksum in the row of a document that is not what it says."""

    def open(self, name: str) -> IO[bytes]:
        """Count it, and do it."""
        self.costs += 1
        if name in self.damaged:
            raise ContentDiffersError(
                "a self-test", self.damaged[name], name=name, storage=self.label
            )
        return super().open(name)

    def list_files(self, prefix: str = "") -> Iterator[str]:
        """Count it, and do it."""
        self.costs += 1
        return super().list_files(prefix)


class Asked(list[int]):
    """Numbers of documents that end the work of whoever asks for them."""

    watched = False

    def __iter__(self) -> Iterator[int]:
        self.watched = undeleted.is_watched()
        raise InterruptedError
