"""Local files of a running task, as the staging area has them.

A file of the scratch folder lies under its own path again: it is one upload's alone. Any other, as
one of the consume folder, gets a folder of the task's own, below ``paperfleet-tasks`` in the
scratch folder, with its whole path repeated there. Nobody but the task finds it: no consumer takes
it for a new one, nobody overwrites it, and the task removes nothing that came there meanwhile.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from paperfleet.paperless.areas import STAGING
from paperfleet.paperless.delivery import rows, staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from paperfleet.paperless.delivery.rows import StagedFile

FOLDER = "paperfleet-tasks"
MATCHING = "documents.matching"
MATCHES = "consumable_document_matches_workflow"


def restore(file: StagedFile) -> Path:
    """Return a local file with the staged content.

    Raises ``IntegrityError`` for content that is not what was staged, ``NotFoundError``, or
    ``UnavailableError`` when the storage did not answer for as long as a task waits.
    """
    path = Path(file.path)
    if not _is_scratch(path) or (os.path.lexists(path) and not staging.is_content(path, file)):
        path = _own(file)
    if not staging.is_content(path, file):
        path.parent.mkdir(parents=True, exist_ok=True)
        with staging.drafted(file, path) as draft:
            draft.replace(path)
    return path


def origin(path: Path) -> Path:
    """Return where a file was when it was published, or would be beside one that was."""
    base = _scratch() / FOLDER
    if not path.is_relative_to(base):
        return path
    _, _, *parts = path.relative_to(base).parts  # the task and the number of its file
    return Path("/", *parts)


def matches(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let workflows compare their filter with where a file lay (``documents/matching.py``).

    Told to this one alone: elsewhere a file with an ``original_path`` is a part of another one, and
    gets the tags of all of its pages (``documents/barcodes.py``).
    """

    @functools.wraps(original)
    def asked(document: Any, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  # paperless-ngx's
        path = document.original_path or document.original_file
        if (place := origin(path)) != path:
            document = copy.copy(document)
            document.original_path = place
        return original(document, *arguments, **keywords)

    return asked


def forget(files: Iterable[StagedFile], restored: Iterable[Path]) -> None:
    """Remove what a task that has ended has left of its files, and their folders if they are empty.

    Also what an earlier attempt has left on this host.
    """
    for path in restored:
        _forget(path)
    for file in files:
        path = Path(file.path)
        if _is_scratch(path) and staging.is_content(path, file):
            _forget(path)
        shutil.rmtree(_own_folder(file), ignore_errors=True)


def forget_leftovers() -> None:
    """Remove folders of tasks that ended elsewhere after they had been begun here.

    Raises ``DatabaseError``.
    """
    try:
        names = {path.name for path in (_scratch() / FOLDER).iterdir()}
    except OSError:
        return
    for name in names - (rows.staged_tasks(names) if names else set()):
        shutil.rmtree(_scratch() / FOLDER / name, ignore_errors=True)


def _scratch() -> Path:
    return Path(settings.SCRATCH_DIR).resolve()


def _is_scratch(path: Path) -> bool:
    """Say whether a path is one upload's own; ``origin`` repeats none that is a task's."""
    is_below = path.is_relative_to(_scratch()) and not path.is_relative_to(_scratch() / FOLDER)
    return is_below and not staging.lies_in_consume_folder(path)


def _own_folder(file: StagedFile) -> Path:
    return _scratch() / FOLDER / Path(file.key).relative_to(STAGING).parent


def _own(file: StagedFile) -> Path:
    number = Path(file.key).name
    return _own_folder(file) / number / origin(Path(file.path)).relative_to("/")


def _forget(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        if _scratch() in path.parent.parents:
            path.parent.rmdir()  # unless it has other files
