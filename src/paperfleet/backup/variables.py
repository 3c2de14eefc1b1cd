"""The variables of an installation as a backup keeps them: secrets by their names alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HIDDEN: Final = "(a secret: not in the backup)"
_OURS: Final = ("PAPERLESS_", "PAPERFLEET_")
_SECRET_NAME: Final = re.compile(
    r"PASS|SECRET|KEY|TOKEN|CREDENTIAL|OPTIONS|PROVIDERS|PRIVATE|SALT|DSN|WEBHOOK"
)
_SECRET_VALUE: Final = re.compile(
    r"://[^/\s]*@|[?&][^=]*(key|token|secret|sig|pass)[^=]*=", re.IGNORECASE
)
_FILE: Final = "_FILE"


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return our variables and those of paperless-ngx.

    What may be a secret, by its name or by what it looks like, is replaced. A variable that names
    a file with one is kept, as it holds the path alone.
    """
    return {
        name: HIDDEN if may_be_secret(name, value) else value
        for name, value in environ.items()
        if name.startswith(_OURS)
    }


def may_be_secret(name: str, value: str) -> bool:
    """Say whether a variable may hold a secret, by its name or by what it looks like."""
    by_name = _SECRET_NAME.search(name) and not (name.endswith(_FILE) and value.startswith("/"))
    return bool(value) and bool(by_name or _SECRET_VALUE.search(value))
