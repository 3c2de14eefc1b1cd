"""The net below the seams: what would go past a storage to the local disk is refused.

An audit hook (PEP 578) sees what no seam does: a library that opens a document by its text. It
refuses to write, rename or remove below a mount, and to write into a local copy, with ``EROFS``:
paperless-ngx passes over a ``PermissionError`` in places (``documents/utils.py``). It cannot see
``os.stat``, nor C code that raises no audit event. An audit hook cannot be removed, so there is
one, which looks at the mounts of the moment.
"""

from __future__ import annotations

import errno
import os
import sys

from paperfleet.paperless.documents import active
from paperfleet.paperless.documents.copyroom import FETCHING

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REWRITES = frozenset({"os.rename", "os.link", "os.symlink", "os.truncate"})
_CHANGES = _REWRITES | {"os.remove", "shutil.rmtree"}
_hung = False


def hang() -> None:
    """Hang the net, once in a process."""
    global _hung  # noqa: PLW0603  # as many as there are hooks
    if not _hung:
        sys.addaudithook(_look)
        _hung = True


def _look(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str) and isinstance(flags, int) and flags & _WRITES:
            _refuse_mount(path)
            _refuse_copy(path)
    elif event in _CHANGES:
        paths = [os.fsdecode(path) for path in arguments[:2] if isinstance(path, str | bytes)]
        for path in paths:
            _refuse_mount(path)
        if event in _REWRITES:
            _refuse_copy(paths[-1] if paths else "", *paths[:-1])


def _refuse_mount(path: str) -> None:
    place = active.mounts.find(path)
    if place is not None and place.name:
        raise OSError(
            errno.EROFS,
            "this folder is in a document storage, and something tried to write to the local disk"
            " in its place; it has to use pathlib.Path",
            path,
        )


def _refuse_copy(path: str, source: str = "") -> None:
    folder = f"{active.scratch.copies.folder}/"
    ours = FETCHING in path or FETCHING in source
    if path.startswith(folder) and not ours:
        raise OSError(
            errno.EROFS,
            "this is a local copy of a document, and what is written there would be lost",
            path,
        )
