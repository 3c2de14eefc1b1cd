"""What the app's settings say; from the environment, as those of paperless-ngx."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paperfleet.errors import ConfigurationError
from paperfleet.filesystems import filesystem_type, is_network
from paperfleet.paperless import areas
from paperfleet.settings.storages import options_of
from paperfleet.settings.storagevars import (
    ANY_VERSION,
    CACHE_DIR,
    CACHE_MB,
    EVENTS,
    LOCK_TTL,
    MEDIA_LOCK,
    MOUNTS,
    OUTAGE,
)
from paperfleet.storage.addresses import LOCAL, MEMORY, meaning_of
from paperfleet.storage.registry import open_storage, refuse_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.storage.protocol import DocumentStorage

LOCK_HINT = (
    f"Leave {MEDIA_LOCK} out, which means a lease in the Redis of paperless-ngx, or set it to"
    " redis or postgres"
)
BACKEND = "PAPERLESS_DOCUMENT_STORAGE_BACKEND"
OPTIONS = "PAPERLESS_DOCUMENT_STORAGE_OPTIONS"
_DESIGN = "paperless.storage"
"""Where the approved design of paperless-ngx has its backends."""
_OURS = frozenset({"LocalFilesystemBackend", "S3CompatibleBackend"})
LOCAL_NAMES = frozenset({"paperfleet.LocalFilesystemBackend"})
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True)
class AppConfiguration:
    """The settings of one process.

    ``backend`` is empty when paperless-ngx keeps its documents itself. ``cache_dir`` None means a
    folder in the scratch directory. ``lock_ttl`` and ``outage`` (how
    long a task waits for a storage that does not answer) are in seconds, ``cache_bytes`` in bytes.
    ``media_lock`` empty means what suits the storage (``lock_kind``).
    """

    backend: str
    options: Mapping[str, object]
    media_lock: str = ""
    lock_ttl: float = 60.0
    mounts: frozenset[str] = frozenset()
    cache_dir: Path | None = None
    cache_bytes: int = 2_000_000_000
    any_version: bool = False
    events: bool = False
    outage: float = 600.0

    @property
    def is_shared(self) -> bool:
        """Whether other hosts can reach the storage: all but a folder on a disk of this one."""
        meant = meaning_of(self.backend) if self.backend else None
        if meant is None or meant.backend == MEMORY:
            return False
        if meant.backend not in {LOCAL, *LOCAL_NAMES}:
            return True
        root = Path(str(self.options.get("root") or meant.options.get("root") or "/"))
        return is_network(filesystem_type(root))

    @property
    def lock_kind(self) -> str:
        """What stands in for the media lock: what was chosen, else a lease that all hosts see.

        paperless-ngx has a Redis in any case (its task queue).
        """
        return self.media_lock or ("redis" if self.is_shared else "file")

    @property
    def lock_fault(self) -> str:
        """Why the media lock does not protect the storage; empty when it does."""
        if self.lock_kind != "file" or not self.is_shared:
            return ""
        return (
            f"{MEDIA_LOCK} is file, which keeps out the processes of this host alone, and the"
            " documents are in a storage that other hosts can use too"
        )

    def open(self) -> DocumentStorage:
        """Return the storage, constructed and not entered; raise ``ConfigurationError``."""
        return open_storage(self.backend, self.options)


def read(environ: Mapping[str, str]) -> AppConfiguration:
    """Return what the environment says; raise ``ConfigurationError`` that names the variable."""
    backend = backend_named(environ.get(BACKEND, "").strip())
    refuse_secret(backend, hint=f"Take it out, and set {OPTIONS}", origin=BACKEND)
    options = options_of(OPTIONS, environ)
    if options and not backend:
        raise ConfigurationError(
            f"{OPTIONS} is set, and {BACKEND} is not",
            hint=f"Name the storage, such as {BACKEND}=paperfleet.S3CompatibleBackend",
        )
    _require_place(backend, options)
    folder = environ.get(CACHE_DIR, "")
    return AppConfiguration(
        backend=backend,
        options=options,
        media_lock=environ.get(MEDIA_LOCK, "").strip(),
        lock_ttl=float(_number(environ, LOCK_TTL, 60, least=5)),
        mounts=_mounts(environ.get(MOUNTS, "")),
        cache_dir=Path(folder) if folder else None,
        cache_bytes=_number(environ, CACHE_MB, 2000, least=10) * 1_000_000,
        any_version=_truth(environ, ANY_VERSION),
        events=_truth(environ, EVENTS),
        outage=float(_number(environ, OUTAGE, 600, least=0)),
    )


def backend_named(named: str) -> str:
    """Return the backend that is meant; those of the design are ours."""
    prefix, _, name = named.rpartition(".")
    return f"paperfleet.{name}" if prefix == _DESIGN and name in _OURS else named


def _require_place(backend: str, options: Mapping[str, object]) -> None:
    """Refuse a folder that each process would find somewhere else, such as a misspelled name."""
    if not backend:
        return
    meant = meaning_of(backend)
    root = str(options.get("root") or meant.options.get("root") or "/")
    if meant.backend in {LOCAL, *LOCAL_NAMES} and not Path(root).is_absolute():
        raise ConfigurationError(
            f"{BACKEND} is {backend!r}, which means the folder {root!r}",
            hint="Name a backend, such as paperfleet.S3CompatibleBackend, a URL, or a folder by its"
            " absolute path",
        )


def _mounts(text: str) -> frozenset[str]:
    chosen = frozenset(filter(None, (word.strip() for word in text.split(","))))
    for word in sorted(chosen - set(areas.OPTIONAL)):
        raise ConfigurationError(
            f"{MOUNTS} has {word!r}", hint=f"There are: {', '.join(areas.OPTIONAL)}"
        )
    return chosen


def _number(environ: Mapping[str, str], variable: str, default: int, *, least: int) -> int:
    text = environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise ConfigurationError(f"{variable} is not a whole number of at least {least}")
    return int(text)


def _truth(environ: Mapping[str, str], variable: str) -> bool:
    text = environ.get(variable, "").strip().lower()
    if text not in _YES | _NO:
        raise ConfigurationError(f"{variable} is neither true nor false")
    return text in _YES
