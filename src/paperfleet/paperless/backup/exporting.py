"""The export of the database: as it was at one moment, with the trash.

``document_exporter`` asks one table after the other. Where the database can show one state to all
of these questions without making others wait, it is asked so. The trash, which paperless-ngx 2
leaves out, lies beside the export (``trash``).
"""

from __future__ import annotations

import contextlib
import importlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from django.core.management import call_command
from django.db import connection, transaction

from paperfleet.errors import BackupError
from paperfleet.paperless.backup import trash
from paperfleet.paperless.backup.expecting import areas_of, exported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from paperfleet.paperless.backup.expecting import ExportedFile

_EXPORTER = "documents.management.commands.document_exporter"


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

    The media lock is held for that alone; ``locked`` says that the caller holds it.
    """
    as_of = datetime.now(UTC).isoformat(timespec="seconds")
    options: dict[str, object] = {} if thumbnails else {"no_thumbnail": True}
    with _one_state(), _without_lock() if locked else contextlib.nullcontext():
        before = trash.state()
        words = {"data_only": True, "no_progress_bar": True, **options}
        call_command("document_exporter", str(folder), **words)
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
def _one_state() -> Iterator[None]:
    """Within this block every query sees one state, where nobody has to wait for that."""
    with contextlib.ExitStack() as blocks:
        if connection.vendor == "postgresql":
            blocks.enter_context(transaction.atomic())
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        elif connection.vendor == "mysql" or _is_wal():
            blocks.enter_context(transaction.atomic())
        yield


def _is_wal() -> bool:
    """Say whether this is an SQLite in which a long reader lets others write."""
    if connection.vendor != "sqlite":
        return False
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        return bool(cursor.fetchone()[0] == "wal")


@contextlib.contextmanager
def _without_lock() -> Iterator[None]:
    """Within this block the exporter does not wait for a lock that this process holds."""
    names = vars(importlib.import_module(_EXPORTER))
    original = names["FileLock"]
    names["FileLock"] = lambda *_, **__: contextlib.nullcontext()
    try:
        yield
    finally:
        names["FileLock"] = original
