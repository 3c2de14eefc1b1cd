"""Documents as attachments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def attachments(paths: Iterable[Path]) -> dict[str, bytes]:
    with FileLock(settings.MEDIA_LOCK):
        found = {}
        for path in paths:
            with path.open("rb") as content:
                found[path.name] = content.read()
        return found
