"""Content to save from a stream that can be rewound."""

from __future__ import annotations

from typing import IO, Self, cast

from paperfleet.model import Upload


def upload_of(stream: IO[bytes], size: int, modified_ns: int | None = None) -> Upload:
    """Return a stream that can be rewound, from its beginning on, as content to save."""

    def opened() -> IO[bytes]:
        stream.seek(0)
        return cast("IO[bytes]", _Unclosed(stream))

    return Upload(opened, size, modified_ns)


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
