"""The folders, as paperless-ngx looks at them (paperless/checks.py)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.checks import Error, register

if TYPE_CHECKING:
    from pathlib import Path


def path_check(var: str, directory: Path | None) -> list[Error]:
    """Write a file there, and remove it again."""
    if not directory:
        return []
    if not directory.is_dir():
        return [Error(f"{var} is set but doesn't exist.")]
    probe = directory / f"__paperless_write_test_{os.getpid()}__"
    try:
        with probe.open("w"):
            pass
    except PermissionError:
        return [Error(f"{var} is not writeable")]
    finally:
        if probe.is_file():
            probe.unlink()
    return []


@register()
def paths_check(app_configs: Any, **_: Any) -> list[Error]:  # noqa: ARG001
    found = []
    for name in ("DATA_DIR", "EMPTY_TRASH_DIR", "MEDIA_ROOT", "CONSUMPTION_DIR"):
        found += path_check(f"PAPERLESS_{name}", getattr(settings, name))
    return found
