"""Content to save from a stream that can be rewound."""

from __future__ import annotations

import hashlib
from typing import IO, Self, cast

from paperfleet.model import Upload
from paperfleet.storage.hashing import CHUNK


def upload_of(stream: IO[bytes], size: int, modified_ns: int | None = None) -> Upload:
    """Return a stream that can be rewound, from its beginning on, as content to save."""

    def opened() -> IO[bytes]:
        stream.seek(0)
        return cast("IO[bytes]", _Unclosed(stream))

    return Upload(opened, size, modified_ns)


def sha256_of(upload: Upload) -> str:
    """Return the SHA-256 (hex) of what is to be saved, by reading it once more."""
    if upload.sha256 is not None:
        return upload.sha256
    digest = hashlib.sha256()
    with upload.open() as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class _Unclosed:
    """A stream that its reader does not close."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        """Leave the stream open."""
