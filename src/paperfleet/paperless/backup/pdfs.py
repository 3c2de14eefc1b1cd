"""Opening a PDF with a real library: pikepdf, which every paperless-ngx has for itself."""

from __future__ import annotations

import enum
from typing import BinaryIO

from paperfleet.errors import BackupError


class Opened(enum.Enum):
    """What came of opening one."""

    FINE = "it has pages"
    LOCKED = "it needs a password"
    BROKEN = "it cannot be opened as a PDF"


def opened(stream: BinaryIO) -> Opened:
    """Open a PDF and count its pages; raise ``BackupError`` where there is no library."""
    try:
        import pikepdf  # noqa: PLC0415  # it is paperless-ngx's, and for a drill alone
    except ImportError:
        raise BackupError(
            "the Python of paperless-ngx has no pikepdf, so that no PDF can be opened",
            hint="Install what paperless-ngx needs; pikepdf is part of it",
        ) from None
    try:
        with pikepdf.open(stream) as pdf:
            return Opened.FINE if len(pdf.pages) else Opened.BROKEN
    except pikepdf.PasswordError:
        return Opened.LOCKED
    except (pikepdf.PdfError, ValueError, RuntimeError, LookupError):  # whatever qpdf found
        return Opened.BROKEN
