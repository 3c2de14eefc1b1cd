"""What must hold before a write, and after its content was read. Shared by the backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidNameError,
    NameRefusedError,
    PreconditionFailedError,
)
from paperfleet.storage.names import check_name, is_temporary, is_utf8

if TYPE_CHECKING:
    from paperfleet.model import FileStat, Precondition, Upload
    from paperfleet.storage.hashing import HashingReader


def check_text(name: str, *, operation: str, storage: str) -> None:
    """Raise ``NameRefusedError`` for a name that is not UTF-8."""
    if not is_utf8(name):
        raise NameRefusedError(
            "the name is not UTF-8",
            operation=operation,
            name=name,
            storage=storage,
            hint="Rename the file",
        )


def check_saved_name(name: str, *, storage: str) -> None:
    """Raise for what is not a name (``check_name``), not UTF-8, or kept for unfinished files."""
    check_name(name, operation="save", storage=storage)
    check_text(name, operation="save", storage=storage)
    if is_temporary(name):
        raise InvalidNameError(
            "names of this kind are kept for unfinished files",
            operation="save",
            name=name,
            storage=storage,
        )


def require(
    found: FileStat | None, expect: Precondition, *, operation: str, name: str, storage: str
) -> None:
    """Raise ``AlreadyExistsError`` or ``PreconditionFailedError`` unless ``expect`` holds."""
    if expect.exists is False and found is not None:
        raise AlreadyExistsError(
            "the name is taken", operation=operation, name=name, storage=storage
        )
    missing = expect.exists and found is None
    changed = expect.etag is not None and (found is None or found.etag != expect.etag)
    if missing or changed:
        raise PreconditionFailedError(
            "it is gone" if found is None else "it changed in between",
            operation=operation,
            name=name,
            storage=storage,
        )


def require_content(read: HashingReader, upload: Upload, *, name: str, storage: str) -> None:
    """Raise ``IntegrityError`` unless what was read is what ``upload`` announced."""
    reason = ""
    if read.count != upload.size:
        reason = f"the content has {read.count} bytes, not {upload.size}"
    elif upload.sha256 not in {None, read.sha256}:
        reason = "the content is not the one that was meant: its checksum differs"
    if reason:
        raise IntegrityError(
            reason,
            operation="save",
            name=name,
            storage=storage,
            hint="It may have changed while it was read",
        )
