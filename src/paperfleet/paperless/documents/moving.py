"""Copy and move between storages and local disk: what ``shutil`` does, for documents."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from paperfleet.errors import AlreadyExistsError, NotFoundError
from paperfleet.paperless.documents import files
from paperfleet.paperless.documents.active import place_of
from paperfleet.paperless.documents.mounts import Place
from paperfleet.paperless.documents.streams import upload_of
from paperfleet.storage.hashing import CHUNK

if TYPE_CHECKING:
    from os import PathLike

    AnyPath = str | PathLike[str]


def located(path: AnyPath) -> Place | Path:
    """Return the place in a storage that a path leads to, or the local path."""
    return place_of(path) or Path(os.fspath(path))


def copy(source: Place | Path, target: Place | Path) -> None:
    """Bring the content of a file to another name, replacing what is there."""
    if isinstance(source, Place) and not source.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), source.path)
    if isinstance(target, Place):
        _copy_into(source, target)
    elif isinstance(source, Place):
        _copy_out(source, target)
    else:
        shutil.copyfile(source, target)


def _copy_into(source: Place | Path, target: Place) -> None:
    if isinstance(source, Path):
        about = source.stat()
        with source.open("rb") as content:
            files.save(target, upload_of(content, about.st_size, about.st_mtime_ns))
        return
    found = files.stat(source)
    with files.open_stream(source) as content:
        files.save(target, upload_of(content, found.size, found.modified_ns))


def renew(place: Place) -> None:
    """Save a document again as it is, which gives it a new time."""
    found = files.stat(place)
    with files.open_stream(place) as content:
        files.save(place, upload_of(content, found.size, time.time_ns()))


def _copy_out(source: Place, target: Path) -> None:
    """Write a local file that is seen whole or not at all."""
    found = files.stat(source)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as draft:
        try:
            with files.open_stream(source) as content:
                shutil.copyfileobj(content, draft, CHUNK)
            draft.flush()
            _require_size(draft.tell(), found.size, source)
            os.fsync(draft.fileno())
            _be_as_readable(Path(draft.name), target)
            Path(draft.name).replace(target)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(draft.name).unlink()
            raise


def _require_size(arrived: int, size: int, source: Place) -> None:
    if arrived != size:
        raise OSError(errno.EIO, f"{arrived} of {size} bytes arrived", source.path)


def _be_as_readable(draft: Path, target: Path) -> None:
    """Give a new file the rights that ``open`` would have given it, or keep those of the old."""
    try:
        mode = target.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    draft.chmod(mode)


def copy_times(source: Place | Path, target: Place | Path) -> None:
    """Give a local copy the time of its source; a storage keeps the time of the save."""
    if isinstance(target, Path):
        modified = _modified_ns(source)
        if modified is not None:
            os.utime(target, ns=(modified, modified))


def _modified_ns(source: Place | Path) -> int | None:
    return source.stat().st_mtime_ns if isinstance(source, Path) else files.stat(source).modified_ns


def move(source: Place | Path, target: Place | Path, *, overwrite: bool) -> None:
    """Bring a file under another name and remove it under the old, never the other way round.

    Raises ``AlreadyExistsError`` for a document at the target unless ``overwrite``.
    """
    same_mount = (
        isinstance(source, Place) and isinstance(target, Place) and source.mount is target.mount
    )
    if same_mount and isinstance(source, Place) and isinstance(target, Place):
        _rename(source, target, overwrite=overwrite)
        return
    if isinstance(target, Place) and not overwrite and files.find(target) is not None:
        raise AlreadyExistsError("the name is taken", operation="move", name=target.name)
    copy(source, target)
    if isinstance(source, Path):
        source.unlink()
    else:
        files.delete(source)


def _rename(source: Place, target: Place, *, overwrite: bool) -> None:
    if source.key == target.key:
        if files.find(source) is None:
            raise files.missing(source, "move")
        return
    try:
        files.move(source, target)
    except AlreadyExistsError:
        if not overwrite:
            raise
        _copy_into(source, target)
        with suppress(NotFoundError):
            files.delete(source)
