"""The export of the database: as it was at one moment, with the trash.

``document_exporter`` asks one table after the other. Where the database can show one state to all
of these questions without making others wait, it is asked so, and the media lock is held until that
state stands still; elsewhere until the last question. The trash, which paperless-ngx 2 leaves out,
lies beside the export (``trash``).
"""

from __future__ import annotations

import contextlib
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core import management
from django.db import connection, transaction

from paperfleet.errors import BackupError
from paperfleet.paperless import activation
from paperfleet.paperless.backup import trash
from paperfleet.paperless.backup.expecting import areas_of, exported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from paperfleet.paperless.backup.expecting import ExportedFile

_LOCK_PATIENCE = 600.0
_EXPORTER = "document_exporter"


class Export(NamedTuple):
    """The database as it was at ``as_of`` (ISO 8601), and what it names.

    ``is_moved`` says that the trash was another one before the export than after it.
    """

    as_of: str
    version: str
    documents: int
    files: list[ExportedFile]
    is_moved: bool = False


def export(folder: Path, *, thumbnails: bool, locked: bool) -> Export:
    """Export the database into an empty folder; raise ``BackupError``.

    ``locked`` says that the caller holds the media lock.
    """
    as_of = datetime.now(UTC).isoformat(timespec="seconds")
    options: dict[str, object] = {} if thumbnails else {"no_thumbnail": True}
    with contextlib.ExitStack() as held, _without_lock() as exporter:
        if not locked:
            held.enter_context(media_lock())
        with _one_state() as is_one:
            before = trash.state()
            if is_one:  # no later question sees another one
                held.close()
            words = {"data_only": True, "no_progress_bar": True, **options}
            management.call_command(exporter, str(folder), **words)
            held.close()
            is_moved = trash.export(folder, before)
    try:
        about = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        return Export(
            as_of,
            str(about["version"]),
            *exported(folder, areas_of(thumbnails=thumbnails)),
            is_moved=is_moved,
        )
    except (OSError, ValueError, KeyError) as error:
        raise BackupError(
            f"what document_exporter wrote cannot be read: {error!r}",
            hint="Run document_exporter --data-only by hand and look at what it says",
        ) from None


@contextlib.contextmanager
def media_lock() -> Iterator[None]:
    """Hold the media lock of paperless-ngx for a block; raise ``BackupError``."""
    lock = activation.media_lock()
    try:
        lock.acquire(timeout=_LOCK_PATIENCE)
    except TimeoutError as error:
        raise BackupError(
            f"the media lock of paperless-ngx was not free within {_LOCK_PATIENCE:g} s: {error}",
            hint="Look for a process that hangs, such as a document_exporter, and run it again",
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _one_state() -> Iterator[bool]:
    """Within this block every query sees the state of the first, where nobody has to wait for that.

    Says whether it is so.
    """
    is_postgres = connection.vendor == "postgresql"
    if not (is_postgres or _is_wal()):
        yield False
        return
    with _reading_alone(), transaction.atomic():
        if is_postgres:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield True


@contextlib.contextmanager
def _reading_alone() -> Iterator[None]:
    """Let no transaction of this block begin as one that writes, for which all writers wait.

    paperless-ngx 3 has its SQLite begin all of them so (``transaction_mode``).
    """
    database: Any = connection
    mode = getattr(database, "transaction_mode", None)
    database.transaction_mode = None
    try:
        yield
    finally:
        database.transaction_mode = mode


def _is_wal() -> bool:
    """Say whether this is an SQLite in which a long reader lets others write."""
    if connection.vendor != "sqlite":
        return False
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        return bool(cursor.fetchone()[0] == "wal")


@contextlib.contextmanager
def _without_lock() -> Iterator[management.BaseCommand]:
    """Give out the exporter, which takes no lock in this block: who calls it has seen to that."""
    # Django loads it, not we: the seams are put in with that (``seams.table``).
    exporter = management.load_command_class(management.get_commands()[_EXPORTER], _EXPORTER)
    names = vars(sys.modules[type(exporter).__module__])
    original = names["FileLock"]
    names["FileLock"] = lambda *_, **__: contextlib.nullcontext()
    try:
        yield exporter
    finally:
        names["FileLock"] = original
