"""Mirror, store and scale the documents of a paperless-ngx installation."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paperfleet.storage.backends.local import LocalBackend as LocalFilesystemBackend
    from paperfleet.storage.backends.objectstore import S3CompatibleBackend

__all__ = ["LocalFilesystemBackend", "S3CompatibleBackend"]

_BACKENDS = {
    "LocalFilesystemBackend": ("paperfleet.storage.backends.local", "LocalBackend"),
    "S3CompatibleBackend": ("paperfleet.storage.backends.objectstore", "S3CompatibleBackend"),
}
"""The names that settings of paperless-ngx use, and where they lead when they are asked for."""


def __getattr__(name: str) -> object:
    """Import a backend when it is asked for, so that the package itself stays light."""
    if name not in _BACKENDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _BACKENDS[name]
    return getattr(importlib.import_module(module), attribute)
