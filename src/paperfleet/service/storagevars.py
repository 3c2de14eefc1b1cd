"""Variables that may stand beside the settings of a mirror in one environment, and are none."""

from __future__ import annotations

SOURCE_OPTIONS = "PAPERFLEET_SOURCE_OPTIONS"
TARGET_OPTIONS = "PAPERFLEET_TARGET_OPTIONS"
STORAGE_OPTIONS = "PAPERFLEET_STORAGE_OPTIONS"
FILE = "_FILE"
MEDIA_LOCK = "PAPERFLEET_MEDIA_LOCK"
LOCK_TTL = "PAPERFLEET_MEDIA_LOCK_SECONDS"
MOUNTS = "PAPERFLEET_MOUNTS"
CACHE_DIR = "PAPERFLEET_CACHE_DIR"
CACHE_MB = "PAPERFLEET_CACHE_MB"
ANY_VERSION = "PAPERFLEET_ALLOW_UNTESTED_VERSION"
EVENTS = "PAPERFLEET_EVENTS"
VARIABLES = frozenset(
    name + suffix
    for name in (SOURCE_OPTIONS, TARGET_OPTIONS, STORAGE_OPTIONS)
    for suffix in ("", FILE)
) | {MEDIA_LOCK, LOCK_TTL, MOUNTS, CACHE_DIR, CACHE_MB, ANY_VERSION, EVENTS}
"""Those of the commands that name storages, and those of the app for paperless-ngx."""
