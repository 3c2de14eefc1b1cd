"""Files that one host gives another to work on: in the storage, below ``staging/TASK/NUMBER``."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from paperfleet.errors import IntegrityError, NotFoundError, StorageError, UnavailableError
from paperfleet.model import ANYTHING, Upload
from paperfleet.paperless.activation import documents, is_consumer
from paperfleet.paperless.areas import STAGING
from paperfleet.paperless.delivery.rows import StagedFile
from paperfleet.storage.hashing import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_log = logging.getLogger("paperfleet.paperless")
_PAUSE = 5.0


def bearers(args: Sequence[object], kwargs: Mapping[str, object]) -> list[Any]:
    """Return the arguments that name a local file to work on (``ConsumableDocument``)."""
    given = [*args, *kwargs.values()]
    return [one for one in given if isinstance(getattr(one, "original_file", None), Path)]


def stage(task_id: str, number: int, path: Path) -> StagedFile:
    """Save a local file for the worker; raise ``OSError`` with nothing left behind.

    The consumer waits for a storage that does not answer: nobody would bring the file again.
    """
    documents.require_usable()
    file = _described(f"{STAGING}/{task_id}/{number}", path)
    # Without the file's own time: an object without a row is removed when it is old.
    upload = Upload(lambda: path.open("rb"), file.size, sha256=file.sha256)
    while True:
        try:
            documents.opened().save_with(file.key, upload, ANYTHING)
        except UnavailableError as error:
            if not is_consumer():
                drop([file])
                raise
            _log.warning("%s waits, as the storage does not take it: %s", path, error)
            time.sleep(_PAUSE)
        except StorageError:
            drop([file])
            raise
        else:
            return file


def _described(key: str, path: Path) -> StagedFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        found = os.fstat(stream.fileno())
    return StagedFile(key, str(path), found.st_size, digest, found.st_mtime_ns)


def identity(path: Path) -> str:
    """Return what tells a local file of the consume folder again, '' for a file elsewhere.

    Its inode and the time of its last change are in it: the same file, dropped there again by
    somebody, is another one.
    """
    if not lies_in_consume_folder(path):
        return ""
    found = path.stat()
    told = f"{path}\0{found.st_ino}\0{found.st_ctime_ns}\0{found.st_size}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def drop(files: Sequence[StagedFile]) -> None:
    """Remove staged files; what the storage does not remove now, the sweeper removes."""
    for file in files:
        drop_key(file.key)


def drop_task(task_id: str) -> None:
    """Remove all staged files of a task that has no row; raises ``StorageError``."""
    for key in list(documents.opened().list_files(f"{STAGING}/{task_id}")):
        drop_key(key)


def drop_key(key: str) -> None:
    """Remove one object of the staging area; see ``drop``."""
    try:
        documents.opened().delete(key)
    except NotFoundError:
        return
    except StorageError as error:
        _log.warning("%s stays in the storage until the next sweep: %s", key, error)


def staged_keys() -> Iterator[tuple[str, str, int | None]]:
    """Yield each object of the staging area: its key, its task, when it was made (ns)."""
    for found in documents.opened().list_stats(STAGING):
        parts = found.name.split("/")
        if len(parts) == 3:  # staging/TASK/NUMBER
            yield found.name, parts[1], found.modified_ns


def save_as(file: StagedFile, target: Path) -> None:
    """Copy a staged file to a new local one; raise ``FileExistsError`` for one that is there."""
    if target.exists():
        raise FileExistsError(f"{target} is there already")
    with drafted(file, target) as draft:
        draft.rename(target)


@contextlib.contextmanager
def drafted(file: StagedFile, target: Path) -> Iterator[Path]:
    """Within this block the staged file lies whole beside its target, under another name."""
    draft = target.with_name(f".{target.name[:100]}.{os.getpid()}.paperfleet")
    try:
        _fetch(file, draft)
        os.utime(draft, ns=(file.modified_ns, file.modified_ns))
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _fetch(file: StagedFile, draft: Path) -> None:
    digest = hashlib.sha256()
    with documents.opened().open(file.key) as content, draft.open("wb") as local:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            local.write(chunk)
    if digest.hexdigest() != file.sha256:
        raise IntegrityError(
            f"is not what was staged for {file.path}",
            operation="restore",
            name=file.key,
            storage=documents.opened().label,
        )


def is_content(path: Path, file: StagedFile) -> bool:
    """Say whether a local file is what was staged."""
    try:
        return path.is_file() and _described(file.key, path).sha256 == file.sha256
    except OSError:
        return False


def forget_local(path: Path) -> None:
    """Remove a local file that lies in the storage.

    Its folder stays: whoever made it may be about to put the next file there, as a barcode split
    does (``documents/barcodes.py``).
    """
    path.unlink(missing_ok=True)


def lies_in_consume_folder(path: Path) -> bool:
    """Say whether the consumer would find this file again."""
    return path.is_relative_to(Path(settings.CONSUMPTION_DIR).resolve())
