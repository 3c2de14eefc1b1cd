"""Programs get local copies where their arguments name documents.

A ``Path`` among the arguments becomes a local copy by itself (``os.fspath``); here are those that
were made to text before: ``f"{path}[0]"`` for ImageMagick, ``DOCUMENT_ARCHIVE_PATH`` for a script.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, TypeVar

from paperfleet.paperless.documents import active, files

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAGES = re.compile(r"(\[[\d,-]+\])?\Z")
_T = TypeVar("_T")


def with_local_copies(arguments: _T) -> _T:
    """Return the arguments of a program, documents among them as paths of local copies."""
    if isinstance(arguments, list | tuple):
        return type(arguments)([_translated(argument) for argument in arguments])
    return _translated(arguments)


def environment(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables of a program; a value that is a document becomes its local copy."""
    if not any(_document(value) for value in variables.values()):
        return variables
    return {name: _translated(value) for name, value in variables.items()}


def _document(value: object) -> bool:
    return isinstance(value, str) and any(mount.root in value for mount in active.mounts)


def _translated(argument: _T) -> _T:
    if not isinstance(argument, str) or not _document(argument):
        return argument
    start = min(argument.find(m.root) for m in active.mounts if m.root in argument)
    pages = _PAGES.search(argument, start)
    end = pages.start() if pages else len(argument)
    place = active.mounts.find(argument[start:end])
    if place is None or files.find(place) is None:
        return argument
    copy = os.fspath(active.scratch.copies.path_of(place))
    return argument[:start] + copy + argument[end:]  # type: ignore[return-value]
