"""What stands in the place of the names in ``seams``: each takes the original and returns the new.

For anything outside of the mounts each does what the original does.
"""

from __future__ import annotations

import functools
import os
import posixpath
from pathlib import Path, PosixPath, PurePath
from typing import IO, TYPE_CHECKING, Any

from paperfleet.errors import UnavailableError
from paperfleet.paperless.documents import (
    active,
    files,
    moving,
    processes,
    rows,
    transactions,
    undeleted,
)
from paperfleet.paperless.documents.active import place_of
from paperfleet.paperless.documents.paths import StoragePath
from paperfleet.paperless.documents.verification import ContentDiffersError

if TYPE_CHECKING:
    from collections.abc import Callable

    AnyPath = str | os.PathLike[str]
    Function = Callable[..., Any]


def path(original: Function) -> Function:
    """``Path(...)`` of what lies in a mount, or has a ``StoragePath`` in it, is one too."""

    @functools.wraps(original)
    def new(cls: type[Path], *segments: Any, **keywords: Any) -> Path:  # noqa: ANN401  # Path's signature
        if cls in _PLAIN and _lead_to_mount(segments):
            cls = StoragePath
        made: Path = original(cls, *segments, **keywords)
        return made

    return new


_PLAIN = (Path, PosixPath)


def _lead_to_mount(segments: tuple[object, ...]) -> bool:
    if len(segments) == 1:
        segment = segments[0]
        if isinstance(segment, StoragePath):
            return True
        return isinstance(segment, str | PurePath) and active.mounts.find(str(segment)) is not None
    texts = [str(segment) for segment in segments if isinstance(segment, str | PurePath)]
    return any(isinstance(segment, StoragePath) for segment in segments) or (
        len(texts) > 1 and active.mounts.find(posixpath.join(*texts)) is not None
    )


def open_file(original: Function) -> Function:
    """``open`` of a document streams it, or saves it when it is closed."""

    @functools.wraps(original)
    def new(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> IO[Any]:  # noqa: ANN401  # open's signature
        if isinstance(file, StoragePath) or (isinstance(file, str) and active.mounts.find(file)):
            return StoragePath(file).open(mode, *arguments, **keywords)
        stream: IO[Any] = original(file, mode, *arguments, **keywords)
        return stream

    return new


def _with_places(
    instead: Callable[[AnyPath, AnyPath], Any],
) -> Callable[[Function], Function]:
    """Return a seam for a function of two paths: ``instead`` when one of them is in a mount."""

    def seam(original: Function) -> Function:
        @functools.wraps(original)
        def new(source: AnyPath, target: AnyPath, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  # shutil's
            if place_of(source) is None and place_of(target) is None:
                return original(source, target, *arguments, **keywords)
            return instead(source, _in_folder(source, target))

        return new

    return seam


def _in_folder(source: AnyPath, target: AnyPath) -> AnyPath:
    """Return the path of a file in ``target`` where that is a folder, as ``shutil`` has it."""
    place = place_of(target)
    is_folder = os.path.isdir(target) if place is None else not place.name  # noqa: PTH112  # may be a text
    return Path(target) / Path(source).name if is_folder else target


def _move(source: AnyPath, target: AnyPath) -> AnyPath:
    here, there = moving.located(source), moving.located(target)
    # Between two documents paperless-ngx has looked before, and must never overwrite.
    moving.move(here, there, overwrite=isinstance(here, Path) or isinstance(there, Path))
    return target


def _copy(source: AnyPath, target: AnyPath) -> AnyPath:
    moving.copy(moving.located(source), moving.located(target))
    return target


def _copy2(source: AnyPath, target: AnyPath) -> AnyPath:
    _copy(source, target)
    _copystat(source, target)
    return target


def _copystat(source: AnyPath, target: AnyPath) -> None:
    moving.copy_times(moving.located(source), moving.located(target))


def _nothing(source: AnyPath, target: AnyPath) -> None:  # noqa: ARG001  # the signature of the others
    return


move = _with_places(_move)
copy = _with_places(_copy)
copy2 = _with_places(_copy2)
copyfile = _with_places(_copy)
copymode = _with_places(_nothing)
copystat = _with_places(_copystat)


def utime(original: Function) -> Function:
    """``os.utime`` on a document changes nothing."""

    @functools.wraps(original)
    def new(target: AnyPath, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401  # utime's signature
        if place_of(target) is None:
            original(target, *arguments, **keywords)

    return new


def popen(original: Function) -> Function:
    """Give programs local copies where their arguments name documents."""

    @functools.wraps(original)
    def new(self: Any, args: Any, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401  # Popen's signature
        if keywords.get("env"):
            keywords["env"] = processes.environment(keywords["env"])
        original(self, processes.with_local_copies(args), *arguments, **keywords)

    return new


def pdf_save(original: Function) -> Function:
    """``Pdf.save`` to a document, or without a name to the one that was opened, as rotate does.

    pikepdf would write a temporary file beside it and rename that (``pikepdf/_io.py``).
    """

    @functools.wraps(original)
    def new(self: Any, filename_or_stream: Any = None, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401  # Pdf.save's signature
        target = filename_or_stream or getattr(self, "_original_filename", None)
        if target is None or place_of(target) is None:
            original(self, filename_or_stream, *arguments, **keywords)
            return
        with StoragePath(target).open("wb") as draft:
            original(self, draft, *arguments, **keywords)

    return new


def path_check(original: Function) -> Function:
    """Try whether a folder can be written, unless it is in a storage, which has checks of its own.

    Django runs its checks before most commands, also before those that mend the storage.
    """

    @functools.wraps(original)
    def new(var: str, directory: Path | None) -> list[Any]:
        return [] if directory and place_of(directory) else list(original(var, directory))

    return new


def delete_empty_directories(original: Function) -> Function:
    """Remove empty folders where a storage has folders; where it has none, ask nothing."""

    @functools.wraps(original)
    def new(directory: Path, root: Path) -> None:
        place = place_of(directory)
        if place is None:
            original(directory, root)
        else:
            files.remove_emptied(place)

    return new


def sha256_of_all(original: Function) -> Function:
    """Let a document that is not what its row says keep the checksum that says so.

    When paperless-ngx 3 comes from 2, it puts the SHA-256 of what lies there in the place of each
    MD5, and so would call a damaged document whole.
    """

    @functools.wraps(original)
    def new(path: Path) -> str:
        try:
            digest: str = original(path)
        except ContentDiffersError as error:  # it was told, and is an incident
            return error.checksum
        return digest

    return new


def empty_trash(original: Function) -> Function:
    """Say which documents the trash still has, or whose files: paperless-ngx logs it and goes on.

    ``documents.views`` answers OK to whatever returns from it.
    """

    def new(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  # the task's
        with undeleted.watching() as failed:
            result = original(*arguments, **keywords)
        asked = keywords.get("doc_ids", arguments[0] if arguments else None)
        left = rows.in_trash(asked) if asked else 0
        if left:
            raise UnavailableError(
                f"{left} documents are still in the trash, as the storage did not answer",
                operation="empty the trash",
                hint="Nothing is half done: empty it again later",
            )
        if failed:
            raise UnavailableError(
                f"the documents are gone, and {len(failed)} of their files could not be deleted:"
                f" {failed[0]}",
                operation="empty the trash",
                hint="`manage.py paperfleet_check` lists these files",
            )
        return result

    functools.update_wrapper(new, original, updated=())
    for name in ("delay", "apply_async", "name", "run"):
        if hasattr(original, name):
            setattr(new, name, getattr(original, name))
    return new


def atomic_exit(original: Function) -> Function:
    """After each atomic block, undo what the database has rolled back."""

    @functools.wraps(original)
    def new(self: Any, *arguments: Any) -> Any:  # noqa: ANN401  # Atomic's signature
        try:
            return transactions.leave(original, self, arguments)
        finally:
            transactions.settle()

    return new
