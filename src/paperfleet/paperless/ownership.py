"""Whether this storage belongs to this database, and holds what the local disk holds.

A storage of documents carries a mark that names its database, and the database names the storage
(``recorded``). A bucket of another installation, a database that was restored beside the wrong
bucket, documents that were never migrated, a process with other settings than the rest: each is
found before the first document is touched.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
import uuid
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import NotFoundError, StorageError
from paperfleet.paperless import recorded
from paperfleet.paperless.areas import ORIGINALS
from paperfleet.paperless.documents import rows
from paperfleet.paperless.homes import local_names
from paperfleet.paperless.models import Installation
from paperfleet.paperless.recorded import OWN_FOLDER, OWN_FOLDER_LABEL, Tables
from paperfleet.settings.fleet import LOOKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from paperfleet.storage.full import FullStorage

MARK = "paperfleet.json"
"""The name of the mark in the storage, beside the folders of documents."""
LOOKED_AT = 500
"""Local files that are looked up in the storage at a start; ``paperfleet_check`` looks at all."""
_SAMPLE = 20
"""Rows whose files are looked up on the local disk, where nothing else says where documents are."""
_BUCKETS = ("s3://", "gs://", "az://")


class Fault(NamedTuple):
    """Why the storage must not be used, and what to do; ``passes`` if waiting may mend it."""

    reason: str
    hint: str
    passes: bool = False

    def __str__(self) -> str:
        return f"{self.reason}. {self.hint}"


class OwnershipMark(NamedTuple):
    """What a storage says of itself: its database, its own name, and the name before that."""

    database: str
    storage: str
    previous: str = ""


OLD_TABLES = Fault(
    "the tables of Paperfleet in the database are those of an older release",
    "Run `manage.py migrate`",
)


def has_tables() -> bool:
    """Say whether the database has the tables of this app, as this release has them."""
    return recorded.tables() is Tables.CURRENT


def faults_of_own_folder(label: str, root: Path) -> list[Fault] | None:
    """Return why paperless-ngx must not use its own folder; None when there are no tables yet.

    ``root`` is the folder of originals. A migration that was cut off forbids it, and a database
    whose documents are in a storage.
    """
    found = recorded.tables()
    if found is Tables.NONE:
        return None
    if found is Tables.OLD:
        return [OLD_TABLES]
    installation = Installation.objects.first()
    if installation is None:
        return []
    if installation.migrating_from not in {"", label}:
        return [_unfinished(installation.migrating_from, OWN_FOLDER_LABEL)]
    if installation.storage:
        other = installation.storage != OWN_FOLDER
        return [_elsewhere(installation, OWN_FOLDER_LABEL)] if other else []
    # The row is there, so that a storage was in use: are the documents here?
    sample = list(islice(rows.expected({ORIGINALS}), _SAMPLE))
    if any((root / file.name).exists() for file in sample):
        recorded.claim(installation, OWN_FOLDER_LABEL, OWN_FOLDER)
    elif sample:
        return [_not_here(OWN_FOLDER_LABEL)]
    return []


def _unfinished(source: str, target: str) -> Fault:
    return Fault(
        f"the migration from {source} to {target} is not finished",
        "Run `manage.py migrate_storage` again; it goes on where it stopped",
    )


def _elsewhere(installation: Installation, label: str) -> Fault:
    here = f"this process would use {label}"
    if label == installation.storage_label:
        here = "this process would use another one of that name"
    return Fault(
        f"the documents of this database are in {installation.storage_label}, and {here}",
        "Give every process of paperless-ngx the same settings of the storage. To move the"
        " documents: `manage.py migrate_storage`. If all of them are here by other means:"
        " `manage.py paperfleet_check --take-ownership`",
    )


def _not_here(label: str) -> Fault:
    return Fault(
        f"the database has {rows.all_documents().count():,} documents, and they are not in {label}",
        "Give every process of paperless-ngx the same settings of the storage. To move the"
        " documents: `manage.py migrate_storage`. If they are to be restored to this place:"
        " `manage.py paperfleet_check --take-ownership`",
    )


def faults(storage: FullStorage, roots: Mapping[str, str]) -> list[Fault] | None:
    """Return why the storage must not be used; None when the database has no tables yet.

    ``roots`` are the local folders and their keys. A storage that belongs to nobody and holds no
    documents is marked as ours, unless the database or the local folders have some.
    """
    found = recorded.tables()
    if found is Tables.NONE:
        return None
    if found is Tables.OLD:
        return [OLD_TABLES]
    installation = recorded.installation()
    try:
        return list(_faults(storage, roots, installation))
    except StorageError as error:
        reason = f"the document storage cannot be used: {error}"
        return [Fault(reason, "Nothing was touched", passes=error.transient)]


def _faults(
    storage: FullStorage, roots: Mapping[str, str], installation: Installation
) -> Iterator[Fault]:
    label = storage.label
    if installation.migrating_from not in {"", label}:  # the source still has everything
        yield _unfinished(installation.migrating_from, label)
        return
    mark = mark_of(storage)
    left_behind = list(_left_behind(storage, roots))
    if mark is None:
        yield from left_behind or _take_free(storage, roots, installation)
        return
    if mark.database != str(installation.identity):
        yield _of_another(label, mark, installation)
    elif fault := _differs(storage, mark, installation):
        yield fault
    yield from left_behind


def _take_free(
    storage: FullStorage, roots: Mapping[str, str], installation: Installation
) -> Iterator[Fault]:
    """Mark a storage without a mark as ours, or yield why it is not."""
    label = storage.label
    if any(next(iter(storage.list_files(key)), None) for key in roots.values()):
        yield Fault(
            f"{label} holds documents, and nothing says that they are of this database",
            "Is it the right bucket? If so: `manage.py paperfleet_check --take-ownership`",
        )
    elif installation.storage not in {"", OWN_FOLDER} and label != installation.storage_label:
        yield _elsewhere(installation, label)
    elif rows.all_documents().exists():
        yield (
            _elsewhere(installation, label)
            if installation.storage == OWN_FOLDER
            else _not_here(label)
        )
    else:
        if installation.storage == OWN_FOLDER:  # there is nothing in it
            recorded.record("", "")
        name = recorded.claim(installation, label)
        write_mark(storage, OwnershipMark(str(installation.identity), name))


def _of_another(label: str, mark: OwnershipMark, installation: Installation) -> Fault:
    return Fault(
        f"{label} belongs to another database ({mark.database}, this is {installation.identity})",
        "Name another bucket or location; or, if this database replaces that one:"
        " `manage.py paperfleet_check --take-ownership`",
    )


def _differs(storage: FullStorage, mark: OwnershipMark, installation: Installation) -> Fault | None:
    """Compare a storage that is marked as ours with what the database says; None when all is well.

    A copy has the same mark. So whoever comes under another address to the same bucket gives it a
    new name in both: who is still at the old address finds it there, unless that is a copy.
    """
    label = storage.label
    empty_own = installation.storage == OWN_FOLDER and not rows.all_documents().exists()
    if empty_own or not installation.storage:
        if empty_own:
            recorded.record("", "")
        recorded.claim(installation, label, mark.storage)
    elif installation.storage == mark.previous:  # cut off between the mark and the row
        recorded.record(mark.storage, label)
    elif installation.storage != mark.storage:
        return _elsewhere(installation, label)
    elif installation.storage_label != label:
        if _bucket(installation.storage_label) != _bucket(label):
            return _elsewhere(installation, label)
        return _rename(storage, installation)
    return None


def _bucket(label: str) -> str:
    """Return bucket and location of a bucket's label, the same for every other storage."""
    return label.rpartition(" at ")[0] or label if label.startswith(_BUCKETS) else ""


def _rename(storage: FullStorage, installation: Installation) -> Fault | None:
    label = storage.label

    def write(fresh: str, current: str) -> bool:
        now = mark_of(storage)
        if now is None or current not in {now.storage, now.previous}:
            return False
        write_mark(storage, OwnershipMark(str(installation.identity), fresh, current))
        return True

    recorded.renew(installation, label, write)
    return None if installation.storage_label == label else _elsewhere(installation, label)


def difference(label: str, mark: OwnershipMark, installation: Installation) -> str | None:
    """Say how a storage that is marked as ours differs from the one that the database names."""
    known = installation.storage
    same_bucket = _bucket(installation.storage_label) == _bucket(label)
    if not known or (known in {mark.storage, mark.previous} and same_bucket):
        return None
    return str(_elsewhere(installation, label))


def mark_of(storage: FullStorage) -> OwnershipMark | None:
    """Return the mark of a storage, None where there is none."""
    try:
        with storage.open(MARK) as content:
            text = content.read(10_000)
        found = json.loads(text)
        # A mark of an older release has no name; its text is one.
        name = found.get("storage") or hashlib.sha256(text).hexdigest()[:32]
        return OwnershipMark(str(found["database"]), str(name), str(found.get("previous", "")))
    except NotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return OwnershipMark("unreadable", "")


def write_mark(storage: FullStorage, mark: OwnershipMark) -> None:
    """Mark the storage as belonging to a database; raise ``StorageError``.

    Not for who only looks (``LOOKING``).
    """
    if os.environ.get(LOOKING):
        return
    content = {
        **mark._asdict(),
        "since": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "what": "the documents of a paperless-ngx; this file ties them to its database",
    }
    storage.save(MARK, io.BytesIO(json.dumps(content, indent=2).encode()))


def mark_as_ours(storage: FullStorage, installation: Installation) -> OwnershipMark:
    """Mark the storage as belonging to this database, under a new name; raise ``StorageError``."""
    mark = OwnershipMark(str(installation.identity), uuid.uuid4().hex)
    write_mark(storage, mark)
    return mark


def take_ownership(storage: FullStorage, installation: Installation) -> None:
    """Tie the storage and this database together, whatever either says; raise ``StorageError``."""
    mark = mark_as_ours(storage, installation)
    recorded.record(mark.storage, storage.label)


def _left_behind(storage: FullStorage, roots: Mapping[str, str]) -> Iterator[Fault]:
    """Find documents on the local disk that the storage does not have."""
    for root, key in roots.items():
        for _, name in zip(range(LOOKED_AT), local_names(root), strict=False):
            if not storage.exists(f"{key}/{name}"):
                yield Fault(
                    f"{root}/{name} is on the local disk, and not in {storage.label}",
                    "Run `manage.py migrate_storage`; or move away what does not belong there",
                )
                return
