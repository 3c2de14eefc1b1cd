"""Construct a mirror from its settings: the only place where the parts are put together."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from paperfleet.errors import ConfigurationError, JournalError
from paperfleet.filesystems import FolderDisk
from paperfleet.journal.database import explained
from paperfleet.journal.journal import Journal
from paperfleet.mirror.engine import Mirror
from paperfleet.mirror.events import Notice
from paperfleet.mirror.options import Options
from paperfleet.mirror.planning.guard import Limits
from paperfleet.mirror.watch.choose import choose_watcher
from paperfleet.running.apart import prove_apart
from paperfleet.running.documents import documents_named_by
from paperfleet.running.ownfiles import DeafToOwn, WithoutOwn, own_files
from paperfleet.settings.storages import check_apart, for_looking
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.registry import accepted_options, open_storage
from paperfleet.storage.wrappers.fenced import Fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from paperfleet.mirror.accident import Disk
    from paperfleet.mirror.events import Reporter
    from paperfleet.mirror.watch.choose import Watcher
    from paperfleet.settings.mirror import MirrorSettings
    from paperfleet.storage.protocol import DocumentStorage

MEGABYTE = 1_000_000


class MirrorSource(NamedTuple):
    """What is mirrored, and who tells of its changes; neither has been entered.

    ``disk`` tells what it lies on, None where that is no disk of this machine. ``place`` is False
    where nothing that is written at a target can be in it at once.
    """

    storage: DocumentStorage
    watcher: Watcher
    disk: Disk | None = None
    place: bool = True


@contextmanager
def build_mirror(
    settings: MirrorSettings,
    *,
    report: Reporter,
    may_write: Callable[[], None] | None = None,
    source_of: Callable[[MirrorSettings, Reporter], MirrorSource] | None = None,
) -> Iterator[Mirror]:
    """Yield a mirror that is ready to run, and its journal closed afterwards.

    ``may_write`` is asked before each write to the target, and raises when it may not be.
    ``source_of`` makes the source, and is called once; without it the source is the folder that
    the settings name. Raises ``ConfigurationError`` for settings that cannot be, ``JournalError``
    for a journal that cannot be used.
    """
    source, watcher, disk, place = (source_of or _source_of)(settings, report)
    target = open_target(settings)
    check_apart(source, target)
    label = full(target).label
    target = for_looking(target) if settings.dry_run else target
    target = Fenced(target, may_write) if may_write else target

    def prove() -> None:
        if place:
            prove_apart(source, target, journal, report)

    with _journal(settings, full(source).label, label) as journal:
        mirror = Mirror(
            source,
            target,
            journal,
            watcher,
            _options(settings),
            report,
            disk=disk,
            prove_apart=prove,
        )
        with mirror:
            yield mirror


def _source_of(settings: MirrorSettings, report: Reporter) -> MirrorSource:
    return (paperless_source if settings.paperless else local_source)(settings, report)


def source_for_looking(settings: MirrorSettings) -> DocumentStorage:
    """Return the source as a command sees it beside the mirror, which may run.

    The documents of a paperless-ngx are those that the mirror last knew of.
    """
    if settings.paperless:
        found = documents_named_by(settings, keep=False)
        found.fault.set(None)
        return found.storage
    return local_source(settings, lambda _: None).storage


def paperless_source(settings: MirrorSettings, report: Reporter) -> MirrorSource:  # noqa: ARG001  # as the other
    """Return the documents of the paperless-ngx that the settings name."""
    found = documents_named_by(settings, keep=not settings.dry_run)
    return MirrorSource(found.storage, found.watcher, found.disk, place=False)


def local_source(settings: MirrorSettings, report: Reporter) -> MirrorSource:
    """Return the folder that the settings name, watched in the way that fits it."""
    root = _source_root(settings.source)
    watcher = choose_watcher(
        root,
        poll_seconds=settings.poll_seconds,
        on_notice=lambda text: report(Notice(text)),
        follow_links=settings.follow_links,
    )
    storage = LocalBackend(root, follow_links=settings.follow_links, read_only=True)
    ours = own_files(root, os.environ, journal=settings.journal, lease=settings.lease)
    return MirrorSource(WithoutOwn(storage, ours), DeafToOwn(watcher, ours), FolderDisk(root))


def open_target(settings: MirrorSettings, **more: object) -> DocumentStorage:
    """Return the target that the settings name, with their credentials.

    ``more`` are further options, for the kinds of target that take them.
    """
    return open_storage(settings.target, _target_options(settings, more))


def _target_options(settings: MirrorSettings, more: Mapping[str, object]) -> Mapping[str, object]:
    """Return those settings that the kind of target takes."""
    options = {
        "username": settings.username or None,
        "password": settings.password,
        "allow_plain_http": settings.allow_plain_http,
        "verify": str(settings.ca_file) if settings.ca_file else True,
        "certificate": str(settings.client_certificate) if settings.client_certificate else None,
        "timeout": settings.timeout_seconds,
        "lowest_rate": settings.lowest_rate,
        "connections": settings.connections,
        "bulk": settings.bulk == "auto",
        "chunk_size": settings.chunk_mb * MEGABYTE,
        "chunk_threshold": settings.chunk_threshold_mb * MEGABYTE,
        **more,
    }
    accepted = accepted_options(settings.target)
    return {name: value for name, value in options.items() if name in accepted}


def _source_root(source: str) -> Path:
    """Return the folder that is mirrored; raise ``ConfigurationError`` unless it can be read."""
    parts = urlsplit(source)
    path = Path(unquote(parts.path) if parts.scheme == "file" else source).absolute()
    if not path.is_dir():
        reason = "is not a folder" if path.exists() else "does not exist"
        raise ConfigurationError(
            f"the source {path} {reason}", hint="Is the volume mounted, and the path spelled so?"
        )
    if not os.access(path, os.R_OK | os.X_OK):
        raise ConfigurationError(
            f"the source {path} cannot be read",
            hint=f"Give user {os.geteuid()} the right to read it",
        )
    return path


@contextmanager
def _journal(settings: MirrorSettings, source: str, target: str) -> Iterator[Journal]:
    """Yield the journal; for a dry run a copy of it that is thrown away."""
    if not settings.dry_run:
        with Journal.open(settings.journal, source=source, target=target) as journal:
            yield journal
        return
    with tempfile.TemporaryDirectory(prefix="paperfleet-") as folder:
        copy = Path(folder) / "journal.sqlite"
        if settings.journal.exists():
            with explained(settings.journal):
                _copy_database(settings.journal, copy)
        with _open_copy(copy, settings.journal, source, target) as journal:
            yield journal


def _open_copy(copy: Path, original: Path, source: str, target: str) -> Journal:
    try:
        return Journal.open(copy, source=source, target=target)
    except JournalError as error:
        text = error.message.replace(str(copy), str(original))
        raise JournalError(text, hint=error.hint) from error


def _copy_database(original: Path, copy: Path) -> None:
    reading = sqlite3.connect(f"{original.absolute().as_uri()}?mode=ro", uri=True)
    writing = sqlite3.connect(copy)
    try:
        reading.backup(writing)
    finally:
        writing.close()
        reading.close()


def _options(settings: MirrorSettings) -> Options:
    return Options(
        settle=settings.settle_seconds,
        open_settle=settings.open_settle_seconds,
        scan_interval=settings.scan_interval_seconds,
        target_check=settings.target_check_seconds,
        adopt=settings.adopt,
        set_aside=settings.foreign == "keep",
        connections=settings.connections,
        bulk=settings.bulk == "auto",
        verify=settings.verify,
        limits=Limits(settings.delete_share, settings.delete_floor, settings.overwrite_share),
    )
