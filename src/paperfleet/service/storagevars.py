"""Variables of the commands that name storages; the mirror has its own settings."""

from __future__ import annotations

SOURCE_OPTIONS = "PAPERFLEET_SOURCE_OPTIONS"
TARGET_OPTIONS = "PAPERFLEET_TARGET_OPTIONS"
STORAGE_OPTIONS = "PAPERFLEET_STORAGE_OPTIONS"
FILE = "_FILE"
VARIABLES = frozenset(
    name + suffix
    for name in (SOURCE_OPTIONS, TARGET_OPTIONS, STORAGE_OPTIONS)
    for suffix in ("", FILE)
)
