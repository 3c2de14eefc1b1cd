"""What the database says of where its documents are: one row, which every process compares.

A process without the storage settings, or with others, would keep its documents somewhere else, and
nobody would notice before a download fails. So the database names the storage by what is written
in that storage's mark (``ownership``), not by its address, which may change.
"""

from __future__ import annotations

import enum
import uuid
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection, transaction
from django.db.models import F

from paperfleet.paperless.models import Installation

if TYPE_CHECKING:
    from collections.abc import Callable

OWN_FOLDER = "own folder"
"""What paperless-ngx's own folder is called in the row; it has no mark."""
OWN_FOLDER_LABEL = "paperless-ngx's own folder"


class Tables(enum.Enum):
    """Whether the tables of this app are there, and are those of this release."""

    NONE = "none"
    OLD = "old"
    CURRENT = "current"


class Recorded(NamedTuple):
    """The storage that holds the documents of this database; empty where nothing says so yet."""

    storage: str
    label: str


def tables() -> Tables:
    """Look which tables of this app the database has."""
    table = Installation._meta.db_table  # noqa: SLF001  # Django's documented name
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return Tables.NONE
        found = {
            column.name for column in connection.introspection.get_table_description(cursor, table)
        }
    wanted = {field.column for field in Installation._meta.concrete_fields}  # noqa: SLF001  # as above
    return Tables.CURRENT if wanted <= found else Tables.OLD


def installation() -> Installation:
    """Return the row of this database; it is made by whoever comes first."""
    return Installation.objects.first() or Installation.objects.get_or_create(pk=1)[0]


def recorded() -> Recorded:
    """Return what the row says, in one query; the tables have to be there."""
    row = Installation.objects.values_list("storage", "storage_label").first()
    return Recorded(*row) if row else Recorded("", "")


def newest_version() -> str:
    """Return the newest paperless-ngx that has worked on this database; the tables are there."""
    return Installation.objects.values_list("newest_version", flat=True).first() or ""


def note_version(version: str) -> None:
    """Say that this is the newest paperless-ngx that has worked on this database."""
    Installation.objects.update(newest_version=version)


def record(storage: str, label: str) -> None:
    """Say from now on that the documents are in this storage."""
    Installation.objects.update(storage=storage, storage_label=label)


def claim(mine: Installation, label: str, storage: str = "") -> str:
    """Say that the documents are in this storage unless the row says something already.

    Returns what the row says then: of several processes that start at once, one name wins.
    """
    storage = storage or uuid.uuid4().hex
    Installation.objects.filter(pk=mine.pk, storage="").update(storage=storage, storage_label=label)
    mine.refresh_from_db()
    return mine.storage


def claim_own_folder() -> str:
    """Claim for paperless-ngx's own folder; return what the row says then."""
    return claim(installation(), OWN_FOLDER_LABEL, OWN_FOLDER)


def renew(mine: Installation, label: str, write: Callable[[str, str], bool]) -> None:
    """Give the storage another name in its mark and in the row, while nobody else does.

    ``write`` is called with the new name and the one of the row; when it returns False, nothing
    changes.
    """
    with transaction.atomic():
        # Whoever writes the row is the only one until the end of the transaction.
        Installation.objects.filter(pk=mine.pk).update(migrating_from=F("migrating_from"))
        mine.refresh_from_db()
        fresh = uuid.uuid4().hex
        if write(fresh, mine.storage):
            Installation.objects.filter(pk=mine.pk).update(storage=fresh, storage_label=label)
            mine.refresh_from_db()
