"""What was saved is read back and compared."""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING, cast

from paperfleet.errors import IntegrityError, StorageError
from paperfleet.storage.abilities import content_sha256
from paperfleet.storage.hashing import HashingReader
from paperfleet.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.model import BatchFile, FileStat, Precondition, Upload


class Verified(Wrapper):
    """Compares the SHA-256 of what is stored with that of what was saved, after every save.

    The storage's own reading of the hash is used where it has one, else the file is read back.
    Raises ``IntegrityError``; the damaged file stays and can be replaced. What ``save`` is given
    reaches ``inner`` as a stream that cannot be rewound, so tries again go around this wrapper
    (``Retrying(Verified(storage))``), not inside it.
    """

    def save(self, name: str, content: IO[bytes]) -> str:
        """See ``DocumentStorage``; raise ``IntegrityError``."""
        reader = HashingReader(content)
        used = super().save(name, cast("IO[bytes]", reader))
        self._compare(used, reader.sha256)
        return used

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """See ``SupportsSaveWith``."""
        if upload.sha256 is not None:
            saved = super().save_with(name, upload, expect)
            self._compare(saved.name, upload.sha256)
            return saved
        readers: list[HashingReader] = []

        def opened() -> IO[bytes]:
            readers.append(_OwningReader(upload.open()))
            return cast("IO[bytes]", readers[-1])

        saved = super().save_with(name, upload._replace(open=opened), expect)
        self._compare(saved.name, readers[-1].sha256)
        return saved

    def save_batch(self, files: Sequence[BatchFile]) -> list[FileStat | StorageError]:
        """See ``SupportsSaveBatch``; a damaged file has an ``IntegrityError`` as its result."""
        results = super().save_batch(files)
        return [
            result if isinstance(result, StorageError) else self._compared(result, file)
            for file, result in zip(files, results, strict=True)
        ]

    def _compared(self, saved: FileStat, file: BatchFile) -> FileStat | StorageError:
        try:
            self._compare(saved.name, hashlib.sha256(file.content).hexdigest())
        except StorageError as error:
            return error
        return saved

    def _compare(self, name: str, expected: str) -> None:
        found = content_sha256(self.inner, name)
        if found != expected:
            raise IntegrityError(
                f"what is stored has the SHA-256 {found}, what was saved {expected}",
                operation="verify",
                name=name,
                storage=self.label,
                hint="Save it again; check the disk of the storage when it comes back",
            )


class _OwningReader(HashingReader):
    """Closes its source."""

    def close(self) -> None:
        """Close the source, too."""
        self._source.close()
        super().close()
