"""Bring one file over, and prove that it arrived."""

from __future__ import annotations

import enum
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from paperfleet.errors import (
    FileAccessError,
    IntegrityError,
    NotFoundError,
    Scope,
    StorageError,
)
from paperfleet.model import ANYTHING, Upload
from paperfleet.storage.hashing import HashingReader
from paperfleet.transfer.progress import VerifiedFile, state_of
from paperfleet.transfer.receipt import BY_HASH, BY_READING

if TYPE_CHECKING:
    from paperfleet.model import FileStat
    from paperfleet.storage.full import FullStorage
    from paperfleet.transfer.bandwidth import Bandwidth


class CopyOutcome(enum.Enum):
    """How a file came to be at the target."""

    COPIED = "copied"
    REPLACED = "replaced"
    PRESENT = "present"


class Brought(NamedTuple):
    """A file that is at the target, proven by its bytes."""

    verified: VerifiedFile
    outcome: CopyOutcome
    inside: bool = False
    """Whether the service that holds both storages copied it by itself."""


class Copier:
    """Copies and verifies single files; safe to use from many threads."""

    def __init__(self, source: FullStorage, target: FullStorage, bandwidth: Bandwidth) -> None:
        self._source, self._target = source, target
        self._bandwidth = bandwidth
        self._inside = target.can_copy_from(source)

    def bring(self, source: FileStat, there: FileStat | None) -> Brought:
        """Make the target hold the bytes of the source under the same name: see ``bring_as``."""
        return self.bring_as(source, source.name, there)

    def bring_as(self, source: FileStat, name: str, there: FileStat | None) -> Brought:
        """Make the target hold the bytes of the source under a name, where it has ``there``.

        What is there already counts only when its bytes are equal: a truncated or other object is
        replaced. Raises ``IntegrityError`` when what the target then holds is not what was read,
        ``NotFoundError`` when the source has vanished, and other ``StorageError``.
        """
        if there is not None and there.size == source.size:
            sha256 = source.sha256 or self._source_hash(source.name)
            if self._target_hash(there) == sha256:
                return Brought(verified(source, there, sha256), CopyOutcome.PRESENT)
        try:
            stored, sha256, inside = self._copied_and_proven(source, name)
        except IntegrityError:  # a byte may have changed on the way; once more
            stored, sha256, inside = self._copied_and_proven(source, name)
        outcome = CopyOutcome.COPIED if there is None else CopyOutcome.REPLACED
        return Brought(verified(source, stored, sha256), outcome, inside)

    def _copied_and_proven(self, source: FileStat, name: str) -> tuple[FileStat, str, bool]:
        stored, sha256, inside = self._copied(source, name)
        self._prove(source.name, stored, sha256)
        return stored, sha256, inside

    def _copied(self, source: FileStat, name: str) -> tuple[FileStat, str, bool]:
        """Return what the target has, the hash of the source, and whether the service copied."""
        stored = self._copy_inside(source, name) if self._inside else None
        if stored is not None:
            return stored, source.sha256 or self._source_hash(source.name), True
        return *self._copy(source, name), False

    def _copy_inside(self, source: FileStat, name: str) -> FileStat | None:
        """Let the service copy; None where it will not, so that the bytes go through here."""
        try:
            return self._target.copy_from(self._source, source.name, name)
        except NotFoundError:
            raise
        except StorageError as error:
            if error.scope is Scope.STORAGE:
                raise
            self._inside = self._inside and not isinstance(error, FileAccessError)
            return None

    def _copy(self, source: FileStat, name: str) -> tuple[FileStat, str]:
        """Send the file; return what the target has, and the hash of what was read."""
        readers: list[_ClosingReader] = []

        def content() -> IO[bytes]:
            stream = self._bandwidth.limited(self._source.open(source.name))
            readers.append(_ClosingReader(stream))
            return cast("IO[bytes]", readers[-1])

        upload = Upload(content, source.size, source.modified_ns, source.sha256)
        stored = self._target.save_with(name, upload, ANYTHING)
        reader = readers[-1]
        if reader.count != source.size:
            raise self._error(f"{reader.count} of {source.size} bytes were read", source.name)
        return stored, reader.sha256

    def _prove(self, name: str, stored: FileStat, sha256: str) -> None:
        """Compare the bytes at the target, by its own word where it vouches for them."""
        found = stored.sha256 or self._target.content_sha256(stored.name)
        if found != sha256:
            raise self._error("the target holds other bytes than were sent", name)

    def _source_hash(self, name: str) -> str:
        return self._source.content_sha256(name)

    def _target_hash(self, there: FileStat) -> str | None:
        try:
            return there.sha256 or self._target.content_sha256(there.name)
        except NotFoundError:
            return None

    def _error(self, reason: str, name: str) -> IntegrityError:
        label = self._target.label
        return IntegrityError(reason, operation="migrate", name=name, storage=label)


class _ClosingReader(HashingReader):
    """A hashing reader that owns what it reads; it cannot seek, so that all of it is hashed."""

    def close(self) -> None:
        """Close the source too."""
        self._source.close()
        super().close()


def verified(source: FileStat, there: FileStat, sha256: str) -> VerifiedFile:
    """Return what is remembered of a file that is at the target."""
    proven = BY_HASH if there.sha256 else BY_READING
    states = state_of(source), state_of(there)
    return VerifiedFile(source.name, there.name, there.size, sha256, *states, proven)
