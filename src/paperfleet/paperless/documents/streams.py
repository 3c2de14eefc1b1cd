"""Open files: content read from a storage, and drafts that go there when they are closed."""

from __future__ import annotations

import errno
import io
import logging
import os
import tempfile
import time
from typing import IO, TYPE_CHECKING, Self, cast

from paperfleet.errors import PaperfleetError
from paperfleet.model import Upload
from paperfleet.paperless.documents import active, files
from paperfleet.storage.hashing import CHUNK
from paperfleet.storage.streams import ReaderAround

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from _typeshed import ReadableBuffer as Buffer

    from paperfleet.paperless.documents.mounts import Place


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})
"""What the local disk says when it takes no copy."""
_log = logging.getLogger("paperfleet.paperless")


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


def open_place(
    place: Place,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    *,
    drafts: Path,
) -> IO[str] | IO[bytes]:
    """Open as ``open`` does (Python library reference); ``drafts`` is a local folder for drafts.

    What is written becomes visible as a whole when it is closed, which raises ``OSError`` when the
    storage does not take it. It is dropped when a ``with`` block is left by an exception.
    """
    kind, updating, text = _parsed(mode)
    if text and buffering == 0:
        raise ValueError("can't have unbuffered text I/O")
    if not text and (encoding, errors, newline) != (None, None, None):
        raise ValueError("binary mode takes no encoding, errors or newline argument")
    if kind == "r" and not updating:
        stream = _reading(place)
        return io.TextIOWrapper(stream, encoding, errors, newline) if text else stream
    draft = _draft(place, kind, readable=updating, drafts=drafts)
    return _TextDraft(draft, encoding, errors, newline) if text else cast("IO[bytes]", draft)


def _parsed(mode: str) -> tuple[str, bool, bool]:
    """Return the one of ``rwax``, whether it is for reading and writing, and whether for text."""
    kinds = [letter for letter in mode if letter in "rwax"]
    if len(kinds) != 1 or set(mode) - set("rwaxbt+") or len(set(mode)) != len(mode):
        raise ValueError(f"invalid mode: {mode!r}")
    if "b" in mode and "t" in mode:
        raise ValueError("can't have text and binary mode at once")
    return kinds[0], "+" in mode, "b" not in mode


def _reading(place: Place) -> IO[bytes]:
    if place.mount.cached:
        try:
            return active.scratch.copies.path_of(place).open("rb")
        except OSError as error:
            if error.errno not in _NO_ROOM or isinstance(error, PaperfleetError):
                raise
            _log.warning("%s is read from the storage: %s", place.path, error)
    stream = files.open_stream(place)
    if hasattr(stream, "name") and hasattr(stream, "fileno"):
        return stream
    return cast("IO[bytes]", _Reading(stream, place.path))


class _Reading(ReaderAround):
    """A stream of a storage with the name that Django's ``FileResponse`` asks for."""

    mode = "rb"

    def __init__(self, stream: IO[bytes], name: str) -> None:
        super().__init__(stream)
        self.name = name


def _draft(place: Place, kind: str, *, readable: bool, drafts: Path) -> _Draft:
    found = files.find(place)
    if kind == "x" and found is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place.path)
    if kind == "r" and found is None:
        raise files.missing(place, "open")
    if not place.name or (found is None and files.is_folder(place)):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), place.path)
    drafts.mkdir(parents=True, exist_ok=True)
    descriptor = tempfile.TemporaryFile(dir=drafts, buffering=0)  # noqa: SIM115  # the draft closes it
    draft = _Draft(descriptor, place, new=kind == "x", readable=readable)
    if found is not None and kind in "ra":
        with files.open_stream(place) as current:
            while chunk := current.read(CHUNK):
                draft.write(chunk)
        draft.seek(0, io.SEEK_SET if kind == "r" else io.SEEK_END)
        draft.changed = False
    return draft


class _Draft(io.BufferedRandom):
    """A local file without a name that is saved when it is closed, if it was ``changed``."""

    def __init__(self, raw: io.FileIO, place: Place, *, new: bool, readable: bool) -> None:
        super().__init__(raw)
        self._place, self._new, self._readable = place, new, readable
        self._dropped = False
        self.changed = True

    @property
    def name(self) -> str:
        """The path that stands for the document."""
        return self._place.path

    def readable(self) -> bool:
        """Say whether it was opened for reading too."""
        return self._readable

    def write(self, data: Buffer, /) -> int:
        """Write, and remember that there is something to save."""
        self.changed = True
        return super().write(data)

    def truncate(self, size: int | None = None, /) -> int:
        """Cut it off, and remember that there is something to save."""
        self.changed = True
        return super().truncate(size)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Save, or drop it after an exception."""
        if exc_type is not None:
            self.drop()
        self.close()

    def drop(self) -> None:
        """Save nothing when it is closed."""
        self._dropped = True

    def close(self) -> None:
        """Save what was written; raises ``OSError``, and is closed then too."""
        if self.closed:
            return
        try:
            if self.changed and not self._dropped:
                self._save()
        finally:
            self._dropped = True
            super().close()

    def _save(self) -> None:
        self.flush()
        size = self.seek(0, io.SEEK_END)
        upload = upload_of(cast("IO[bytes]", self), size, time.time_ns())
        files.save(self._place, upload, new=self._new)


class _TextDraft(io.TextIOWrapper):
    """A draft that is written as text."""

    def __init__(
        self, draft: _Draft, encoding: str | None, errors: str | None, newline: str | None
    ) -> None:
        super().__init__(cast("IO[bytes]", draft), encoding, errors, newline)
        self._draft = draft

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Save, or drop it after an exception."""
        if exc_type is not None:
            self._draft.drop()
        self.close()
