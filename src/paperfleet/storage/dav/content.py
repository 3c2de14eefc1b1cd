"""The bytes of an upload on their way out: sized, hashed, and proven before the last of them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import mimetypes
import posixpath
import tempfile
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Self, cast

from paperfleet.errors import IntegrityError
from paperfleet.model import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Body = Callable[[], bytes | Iterator[bytes]]

PIECE = 256 * 1024
SMALL = 1 << 20
"""Bytes of a file that is read whole and proven before the first of them is sent.

An upload that has to be cut off leaves traces on many servers for a moment, and a damaged file on
a Nextcloud that is told to overwrite one, which it does in place.
"""

IN_MEMORY = 8 << 20
"""Bytes of a stream without a known length that are kept in memory before they go to a file."""


@contextlib.contextmanager
def upload_of(content: IO[bytes]) -> Iterator[Upload]:
    """Make an ``Upload`` of the rest of a stream; one that cannot seek is copied first."""
    with contextlib.ExitStack() as stack:
        if not content.seekable():
            copy = stack.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY))
            while piece := content.read(PIECE):
                copy.write(piece)
            copy.seek(0)
            content = cast("IO[bytes]", copy)
        start = content.tell()
        size = content.seek(0, io.SEEK_END) - start

        def reopen() -> IO[bytes]:
            content.seek(start)
            return cast("IO[bytes]", _Borrowed(content))

        yield Upload(reopen, size)


class _Borrowed:
    """A stream that stays open when this is closed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def close(self) -> None:
        """Leave the stream open."""

    def read(self, size: int = -1, /) -> bytes:
        """Read on."""
        return self._stream.read(size)


class ProvingReader:
    """Reads an upload once, from its beginning, and can tell whether it is what was announced."""

    def __init__(self, upload: Upload, *, name: str, storage: str) -> None:
        self._upload = upload
        self._name = name
        self._storage = storage
        self._stream = upload.open()
        self._digest = hashlib.sha256()
        self._left = upload.size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stream.close()

    @property
    def sha256(self) -> str:
        """Lower-case hex of what was read so far."""
        return self._digest.hexdigest()

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes, or what is left of the announced size."""
        parts, wanted = [], min(size, self._left)
        while wanted and (part := self._stream.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._digest.update(data)
        self._left -= len(data)
        return data

    def prove(self) -> None:
        """Raise ``IntegrityError`` unless all was read and is what was announced."""
        complete = self._left == 0 and not self._stream.read(1)
        if not complete or self._upload.sha256 not in {None, self.sha256}:
            raise IntegrityError(
                "the content changed while it was read",
                operation="save",
                name=self._name,
                storage=self._storage,
                hint="It is tried again once it has settled",
            )


class Outgoing:
    """The body of one PUT, read anew for each attempt; ``sha256`` is of the last complete one.

    Each piece is held back until the next one is there, and the last one until the whole is
    proven: a body that turns out wrong is cut off on the way, and no server takes it for complete.
    """

    def __init__(self, upload: Upload, *, name: str, storage: str) -> None:
        self._upload = upload
        self._name = name
        self._storage = storage
        self.sha256 = ""

    def pieces(self) -> Iterator[bytes]:
        """Yield the content; raise ``IntegrityError`` before the last piece of a wrong one."""
        with ProvingReader(self._upload, name=self._name, storage=self._storage) as reader:
            held = reader.read(PIECE)
            while len(held) == PIECE and (piece := reader.read(PIECE)):
                yield held
                held = piece
            reader.prove()
            self.sha256 = reader.sha256
            if held:
                yield held

    def body(self) -> Body:
        """Return what gives the body of each attempt.

        A small one is read and proven now, before anything is sent; raises ``IntegrityError``.
        """
        if self._upload.size > SMALL:
            return self.pieces
        whole = self.whole()
        return lambda: whole

    def whole(self) -> bytes:
        """Return the content at once; raise ``IntegrityError``."""
        with ProvingReader(self._upload, name=self._name, storage=self._storage) as reader:
            content = reader.read(self._upload.size)
            reader.prove()
            self.sha256 = reader.sha256
        return content


def content_type(name: str) -> str:
    """Return the media type that the last parts of a name suggest."""
    stem, extension = posixpath.splitext(name)
    return _type_of(posixpath.splitext(stem)[1] + extension)


@lru_cache(maxsize=256)
def _type_of(extensions: str) -> str:
    return mimetypes.guess_type("a" + extensions, strict=False)[0] or "application/octet-stream"
