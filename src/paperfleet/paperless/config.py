"""What the app's settings say; from the environment, as those of paperless-ngx."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paperfleet.errors import ConfigurationError
from paperfleet.filesystems import filesystem_type, is_network
from paperfleet.paperless import areas
from paperfleet.settings.app import BACKEND, MEDIA_LOCK, MOUNTS, OPTIONS, AppSettings, table
from paperfleet.settings.environment import values_of
from paperfleet.settings.fleet import LOOKING
from paperfleet.settings.storages import options_of
from paperfleet.storage.addresses import LOCAL, MEMORY, meaning_of
from paperfleet.storage.registry import accepted_options, open_storage, refuse_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.storage.protocol import DocumentStorage

LOCK_HINT = (
    f"Leave {MEDIA_LOCK} out, which means a lease in the Redis of paperless-ngx, or set it to"
    " redis or postgres"
)
_DESIGN = "paperless.storage"
"""Where the approved design of paperless-ngx has its backends."""
_OURS = frozenset({"LocalFilesystemBackend", "S3CompatibleBackend"})
LOCAL_NAMES = frozenset({"paperfleet.LocalFilesystemBackend"})


@dataclass(frozen=True)
class AppConfiguration:
    """What one process was told, and what follows from it.

    ``backend`` is empty when paperless-ngx keeps its documents itself; ``mounts`` are the areas
    that lie in the storage beside originals and archives: in a fleet all.
    """

    backend: str
    options: Mapping[str, object]
    mounts: frozenset[str]
    settings: AppSettings

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
        return self.settings.media_lock or ("redis" if self.is_shared else "file")

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
        """Return the storage, constructed and not entered; raise ``ConfigurationError``.

        For who only looks (``LOOKING``) a folder that is missing is not made.
        """
        options = dict(self.options)
        if os.environ.get(LOOKING) and "create" in accepted_options(self.backend):
            options["create"] = False
        return open_storage(self.backend, options)


def read(environ: Mapping[str, str]) -> AppConfiguration:
    """Return what the environment says; raise ``ConfigurationError`` that names the variable."""
    settings = AppSettings(**values_of(table(), environ))  # type: ignore[arg-type]  # parsed
    backend = backend_named(settings.backend)
    refuse_secret(backend, hint=f"Take it out, and set {OPTIONS}", origin=BACKEND)
    options = options_of(OPTIONS, environ)
    if options and not backend:
        raise ConfigurationError(
            f"{OPTIONS} is set, and {BACKEND} is not",
            hint=f"Name the storage, such as {BACKEND}=paperfleet.S3CompatibleBackend",
        )
    _require_place(backend, options)
    chosen = _mounts(settings.mounts)
    if settings.fleet:  # its hosts share no folder
        chosen = frozenset(areas.OPTIONAL)
    return AppConfiguration(backend, options, chosen, settings)


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
