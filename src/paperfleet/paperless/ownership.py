"""Whether this storage belongs to this database, and holds what the local disk holds.

A storage of documents carries a mark that names its database. A bucket of another installation, a
database that was restored beside the wrong bucket, documents that were never migrated: each is
found before the first document is touched.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from paperfleet.errors import NotFoundError, StorageError
from paperfleet.paperless.localnames import local_names
from paperfleet.paperless.models import Installation
from paperfleet.storage import abilities

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.storage.protocol import DocumentStorage

MARK = "paperfleet.json"
"""The name of the mark in the storage, beside the folders of documents."""
LOOKED_AT = 500
"""Local files that are looked up in the storage at a start; ``paperfleet_check`` looks at all."""


class Fault(NamedTuple):
    """Why the storage must not be used, and what to do."""

    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.reason}. {self.hint}"


def has_tables() -> bool:
    """Say whether the database has the tables of this app."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    return Installation._meta.db_table in tables  # noqa: SLF001  # Django's documented name


def faults_of_own_folder(label: str) -> Iterator[Fault]:
    """Yield why paperless-ngx must not use its own folder: a migration to it was cut off."""
    if not has_tables():
        return
    source = Installation.objects.values_list("migrating_from", flat=True).first()
    if source and source != label:
        yield _unfinished(source, "paperless-ngx's own folder")


def _unfinished(source: str, target: str) -> Fault:
    return Fault(
        f"the migration from {source} to {target} is not finished",
        "Run `manage.py migrate_storage` again; it goes on where it stopped",
    )


def faults(storage: DocumentStorage, roots: Mapping[str, str]) -> Iterator[Fault] | None:
    """Yield why the storage must not be used; None when the database has no tables yet.

    ``roots`` are the local folders and their keys. A storage that belongs to nobody and holds no
    documents is marked as ours, unless the local folders hold some.
    """
    if not has_tables():
        return None
    installation = Installation.objects.first() or Installation.objects.create()
    return _faults(storage, roots, installation)


def _faults(
    storage: DocumentStorage, roots: Mapping[str, str], installation: Installation
) -> Iterator[Fault]:
    label = abilities.label_of(storage)
    try:
        if installation.migrating_from not in {"", label}:  # the source still has everything
            yield _unfinished(installation.migrating_from, label)
            return
        owner = owner_of(storage)
        free = owner is None and not _holds_documents(storage, roots)
        if owner is None and not free:
            yield Fault(
                f"{label} holds documents, and nothing says that they are of this database",
                "Is it the right bucket? If so: `manage.py paperfleet_check --take-ownership`",
            )
        elif not free and owner != str(installation.identity):
            yield Fault(
                f"{label} belongs to another database ({owner}, this is {installation.identity})",
                "Name another bucket or location; or, if this database replaces that one:"
                " `manage.py paperfleet_check --take-ownership`",
            )
        left_behind = list(_left_behind(storage, roots))
        yield from left_behind
        if free and not left_behind:
            take_ownership(storage, installation)
    except StorageError as error:
        yield Fault(f"the document storage cannot be used: {error}", "Nothing was touched")


def owner_of(storage: DocumentStorage) -> str | None:
    """Return the identity of the database that the storage belongs to, None for nobody's."""
    try:
        with storage.open(MARK) as content:
            found = json.loads(content.read(10_000))
        return str(found["database"])
    except NotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return "unreadable"


def take_ownership(storage: DocumentStorage, installation: Installation) -> None:
    """Mark the storage as belonging to this database; raise ``StorageError``."""
    mark = {
        "database": str(installation.identity),
        "since": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "what": "the documents of a paperless-ngx; this file ties them to its database",
    }
    storage.save(MARK, io.BytesIO(json.dumps(mark, indent=2).encode()))


def _holds_documents(storage: DocumentStorage, roots: Mapping[str, str]) -> bool:
    return any(next(iter(storage.list_files(key)), None) for key in roots.values())


def _left_behind(storage: DocumentStorage, roots: Mapping[str, str]) -> Iterator[Fault]:
    """Find documents on the local disk that the storage does not have."""
    for root, key in roots.items():
        for _, name in zip(range(LOOKED_AT), local_names(root), strict=False):
            if not storage.exists(f"{key}/{name}"):
                yield Fault(
                    f"{root}/{name} is on the local disk, and not in {abilities.label_of(storage)}",
                    "Run `manage.py migrate_storage`; or move away what does not belong there",
                )
                return
