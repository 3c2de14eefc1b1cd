"""Putting the app to work in a process: the only place that wires its parts together."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import secrets
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from filelock import FileLock

from paperfleet.errors import (
    ConfigurationError,
    NotAStorageError,
    NotFoundError,
    StorageError,
)
from paperfleet.model import ABSENT, Upload
from paperfleet.paperless import config, homes, ownership, recorded, versions
from paperfleet.paperless.areas import CACHED
from paperfleet.paperless.documents import active, files, medialock, net, patience, transactions
from paperfleet.paperless.documents.mounts import Mount
from paperfleet.paperless.documents.processstorage import ProcessStorage
from paperfleet.paperless.outbox import outbox
from paperfleet.paperless.recorded import OWN_FOLDER
from paperfleet.paperless.seams import selftest
from paperfleet.paperless.seams import table as seams
from paperfleet.settings.app import ANY_VERSION, EVENTS
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.wrappers.fenced import Fenced
from paperfleet.storage.wrappers.retrying import Retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.paperless.config import AppConfiguration
    from paperfleet.storage.full import FullStorage
    from paperfleet.storage.protocol import DocumentStorage

_log = logging.getLogger("paperfleet.paperless")

NO_TABLES = ownership.Fault(
    "the tables of Paperfleet are not there yet, so that nothing says whose storage this is",
    "Run `manage.py migrate`",
)
_PROBES = "start"
"""The folder below ``ASIDE`` in which it is tried whether the storage takes documents."""
UNTESTED_HINT = (
    "All seams and the self-test passed, so that it starts. Have a backup, and look for a newer"
    " Paperfleet"
)
MIDDLEWARE = "paperfleet.paperless.middleware.document_storage"
OWN_FOLDER_MIDDLEWARE = "paperfleet.paperless.middleware.own_folder"


class Documents:
    """The documents of this process: where they are, and whether they may be touched."""

    def __init__(self) -> None:
        self.configuration: AppConfiguration | None = None
        self.storage: ProcessStorage | None = None
        self.roots: Mapping[str, str] = {}
        self.is_checked = False
        """Whether the storage was found usable, by this process or by the one that forked it."""
        self.checked_as = ""
        """What the database called the storage when it was found usable."""
        self.version = ""
        """The version of paperless-ngx, where a storage is plugged in."""
        self.look_beside: Callable[[AppConfiguration | None], list[ownership.Fault]] = lambda _: []
        """What else forbids to touch documents, once the tables are there (``starts``)."""
        self._checking = threading.Lock()

    def opened(self) -> FullStorage:
        """Return the storage of documents, also where it is paperless-ngx's own folder."""
        if self.storage is None:
            self.storage = ProcessStorage(lambda: LocalBackend(homes.local_root()))
        return self.storage()

    def faults(self) -> list[ownership.Fault] | None:
        """Return why the storage must not be used; None when the database has no tables yet."""
        if self.storage is None or not self.roots:
            return ownership.faults_of_own_folder(homes.local_label(), homes.originals())
        return ownership.faults(self.storage(), self.roots)

    def require_usable(self) -> None:
        """Raise ``NotAStorageError`` unless the storage may be used; asks once in a process."""
        if self.is_checked:
            return
        with self._checking:
            found = self.faults()
            if found is None and self.roots and sys.argv[1:2] != ["migrate"]:
                found = [NO_TABLES]
            if not found and found is not None:
                found = self.look_beside(self.configuration)
            if found:
                raise NotAStorageError(found[0].reason, hint=found[0].hint)
            if found is not None:
                self.checked_as = recorded.recorded().storage
                self.is_checked = True
                self._note_version()

    def _note_version(self) -> None:
        newest = recorded.newest_version()
        if versions.newer(self.version, newest):
            recorded.note_version(self.version)
        elif text := versions.downgrade(self.version, newest):
            _log.warning("%s", text)

    def require_same(self) -> None:
        """Raise ``NotAStorageError`` unless the documents of the database are where ours are.

        One query in a process that was found usable: somebody may have moved the documents since.
        """
        self.require_usable()
        if not self.is_checked:
            return
        known = recorded.recorded().storage
        if not known and not self.roots:
            known = self.checked_as = recorded.claim_own_folder()
        if known != self.checked_as or (known != OWN_FOLDER and not self.roots):
            self.is_checked = False
            self.require_usable()

    def require_writable(self) -> None:
        """Raise ``NotAStorageError`` unless the storage takes a new file, and lets it be deleted.

        That also finds out which conditional writes it has. Of paperless-ngx's own folder it asks
        nothing.
        """
        if not self.roots:
            return
        storage = self.opened()
        folder = f"{files.ASIDE}/{_PROBES}"
        name = f"{folder}/{secrets.token_hex(6)}"
        try:
            try:
                storage.save_with(name, Upload(lambda: io.BytesIO(b"paperfleet"), 10), ABSENT)
            except StorageError:
                with contextlib.suppress(StorageError):  # it may have arrived all the same
                    storage.delete(name)
                raise
            # Those of processes that were killed go along; the others do not miss theirs.
            for left in {name, *storage.list_files(folder)}:
                with contextlib.suppress(NotFoundError):
                    storage.delete(left)
        except StorageError as error:
            raise NotAStorageError(
                f"the document storage takes no documents: {error}",
                hint="Its key needs the rights to read, write, list and delete. If it may not"
                f" delete, remove what is below {folder} there by hand",
            ) from error


documents = Documents()


def before_document_changes(*, raw: bool = False, **_signal: object) -> None:
    """Let no row change in a process whose documents are not where the database has them.

    That process was started before they moved, or nobody looked when it started. ``raw`` is a row
    of an export that is being read in.
    """
    if not raw:
        documents.require_same()


def activate() -> None:
    """Read the settings and, where they name a storage, plug it in.

    Raises ``ConfigurationError`` before anything is replaced, or after everything was put back.
    """
    found = config.read(os.environ)
    documents.configuration = found
    if not found.backend or _is_default(found):
        _refuse_events(found)
        settings.MIDDLEWARE.insert(0, OWN_FOLDER_MIDDLEWARE)
        return
    version = version_of_paperless()
    if not (versions.is_supported(version) or found.settings.allow_untested_version):
        raise ConfigurationError(
            f"paperless-ngx {version} is of a major version that was never tested (tested:"
            f" {', '.join(versions.TESTED)})",
            hint="Look for a newer Paperfleet. To try this one all the same, on a copy of your"
            f" documents: {ANY_VERSION}=true; seams and self-test still decide",
        )
    documents.version = version
    storage = found.open()
    _require_apart(storage)
    tell_of_lock(found)
    plug_in(found, version, ProcessStorage(lambda: _guarded(found.open())))
    if text := versions.warning(version):
        _log.warning("%s. %s", text, UNTESTED_HINT)


def is_consumer() -> bool:
    """Say whether this process is ``manage.py document_consumer``."""
    return sys.argv[1:2] == ["document_consumer"]


def media_lock() -> Any:  # noqa: ANN401  # a FileLock or what stands in for it
    """Return the media lock, as the seams give it to paperless-ngx."""
    found = documents.configuration
    if not documents.roots or found is None:
        return FileLock(settings.MEDIA_LOCK)
    return medialock.LeaseFactory(FileLock, found.lock_kind, found.settings.media_lock_seconds)(
        settings.MEDIA_LOCK
    )


def tell_of_lock(found: AppConfiguration) -> None:
    """Warn in the log of a media lock that does not reach all who use the storage."""
    if found.lock_fault:
        _log.warning("%s. %s", found.lock_fault, config.LOCK_HINT)


def plug_in(found: AppConfiguration, version: str, storage: ProcessStorage) -> None:
    """Mount the storage and install every seam; raise ``ConfigurationError`` with all put back."""
    documents.storage = storage
    patience.tasks.outage = found.settings.outage_seconds
    folder = found.settings.cache_dir or Path(settings.SCRATCH_DIR) / "paperfleet"
    active.scratch.use(folder, found.settings.cache_mb * 1_000_000)
    try:
        seams.install(found, version)
        documents.roots = seams.mounted(settings, found.mounts)
        for root, key in documents.roots.items():
            active.mounts.add(Mount(root, key, storage, cached=key in CACHED))
        net.hang()
        selftest.run(settings)
    except ConfigurationError:
        for root in documents.roots:
            active.mounts.remove(root)
        seams.uninstall()
        raise
    files.guard_with(lambda _: documents.require_usable())
    settings.MIDDLEWARE.insert(0, MIDDLEWARE)
    transactions.observe_with(outbox.record if found.settings.events else None)


def _refuse_events(found: AppConfiguration) -> None:
    """Refuse to tell of changes that pass by: local files change without this app."""
    if found.settings.events:
        raise ConfigurationError(
            f"{EVENTS} is on, and the documents lie in paperless-ngx's own folder",
            hint=f"Leave it out, and run `paperfleet mirror {homes.local_root()} TARGET`: there the"
            " kernel tells of every change",
        )


def _guarded(storage: DocumentStorage) -> DocumentStorage:
    """Return the storage behind the media lock; what is transient is tried again, in tasks long."""
    return Retrying(
        Fenced(storage, medialock.require_held),
        tries=2,
        longest_delay=10.0,
        patience=patience.seconds,
    )


def version_of_paperless() -> str:
    """Return the version of the paperless-ngx that this process is of, as it calls itself."""
    return str(importlib.import_module("paperless.version").__full_version_str__)


def _is_default(found: AppConfiguration) -> bool:
    """Say whether the settings name just what paperless-ngx does by itself."""
    root = found.options.get("root")
    same = root is None or Path(str(root)).resolve() == homes.local_root().resolve()
    return found.backend in config.LOCAL_NAMES and same


def _require_apart(storage: DocumentStorage) -> None:
    """Refuse a local storage that lies in the folders that it stands in for, or around them."""
    if not isinstance(storage, LocalBackend):
        return
    root, ours = storage.root.resolve(), homes.local_root().resolve()
    if root.is_relative_to(ours) or ours.is_relative_to(root):
        raise ConfigurationError(
            f"the document storage {root} and paperless-ngx's own folder {ours} lie in one another",
            hint="Choose a folder beside it, or leave the setting out",
        )


def stop(error: ConfigurationError | NotAStorageError) -> SystemExit:
    """Return what ends a process with a text that says why and what to do."""
    hint = f"\n  {error.hint}" if error.hint else ""
    return SystemExit(f"paperfleet: {error.message}{hint}")
