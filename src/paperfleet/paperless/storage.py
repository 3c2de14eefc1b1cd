"""The storages by the names that the design of paperless-ngx gives them.

``storage.original_storage`` and ``storage.archive_storage`` take the names that are in the
database, such as ``2024/acme/invoice.pdf``; the folder ``originals`` or ``archive`` belongs to the
storage. Ask for them where they are used: after a fork they are others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.paperless.activation import documents
from paperfleet.paperless.areas import ARCHIVE, ORIGINALS
from paperfleet.storage.wrappers.prefixed import Prefixed

if TYPE_CHECKING:
    original_storage: Prefixed
    archive_storage: Prefixed

_FOLDERS = {"original_storage": ORIGINALS, "archive_storage": ARCHIVE}


def __getattr__(name: str) -> Prefixed:
    """Return one of the two, entered for as long as the process lives."""
    if name not in _FOLDERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return Prefixed(documents.opened(), _FOLDERS[name])
