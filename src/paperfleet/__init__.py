"""Mirror, store and scale the documents of a paperless-ngx installation."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paperfleet.storage.bucket.backends import S3CompatibleBackend
    from paperfleet.storage.local.backend import LocalBackend as LocalFilesystemBackend

__all__ = ["LocalFilesystemBackend", "S3CompatibleBackend"]

_BACKENDS = {
    "LocalFilesystemBackend": ("paperfleet.storage.local.backend", "LocalBackend"),
    "S3CompatibleBackend": ("paperfleet.storage.bucket.backends", "S3CompatibleBackend"),
}
"""The names that settings of paperless-ngx use, and where they lead when they are asked for."""


def __getattr__(name: str) -> object:
    """Import a backend when it is asked for, so that the package itself stays light."""
    if name not in _BACKENDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _BACKENDS[name]
    return getattr(importlib.import_module(module), attribute)
