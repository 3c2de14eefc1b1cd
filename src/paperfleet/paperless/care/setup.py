"""What a migration needs of settings, of the database and of the owner of the destination."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from paperfleet.errors import ConfigurationError
from paperfleet.paperless import homes, ownership, recorded
from paperfleet.paperless.activation import documents
from paperfleet.paperless.areas import ALWAYS, AREAS
from paperfleet.paperless.config import backend_named
from paperfleet.paperless.documents import rows
from paperfleet.paperless.homes import Home, own_folders, storage_home
from paperfleet.paperless.recorded import OWN_FOLDER, OWN_FOLDER_LABEL
from paperfleet.settings.options import SOURCE_OPTIONS
from paperfleet.settings.storages import check_apart, options_of
from paperfleet.storage.registry import open_storage, refuse_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.paperless.care.surveying import Part
    from paperfleet.paperless.documents.processstorage import ProcessStorage
    from paperfleet.paperless.models import Installation


def current() -> Home:
    """Return where the documents are by the settings; not entered."""
    plugged_in = configured()
    if plugged_in is None:
        return own_folders(create=False)
    storage = plugged_in()
    return Home(storage, label=storage.label)


def everything(*, create: bool = False) -> Home:
    """Return every area that rows name, wherever it lies by the settings; not entered.

    Without ``create`` a folder of paperless-ngx that is missing is empty, and not made.
    """
    plugged_in = configured()
    if plugged_in is None:
        return own_folders(create=create)
    return homes.beside_own_folders(plugged_in(), areas_in_storage(), create=create)


def areas_in_storage() -> list[str]:
    """Return the areas that rows name and that lie in the storage."""
    chosen = documents.configuration.mounts if documents.configuration else frozenset()
    if configured() is None:
        return list(ALWAYS)
    return [
        area.key
        for area in AREAS.values()
        if area.named and (area.key in ALWAYS or area.key in chosen)
    ]


def faults(home: Home) -> Iterator[str]:
    """Yield why nothing in the storage may be changed: it is another's, or half filled."""
    mine = installation()
    if mine.migrating_from:
        yield (
            f"the migration from {mine.migrating_from} is not finished."
            " Run `manage.py migrate_storage` again"
        )
        return
    if configured() is None:
        found = ownership.faults_of_own_folder(home.label, homes.originals()) or []
        yield from map(str, found)
        return
    mark = ownership.mark_of(home.base)
    if mark is None:
        yield (
            f"nothing says that {home.label} belongs to this database."
            " Is it the right one? If so, add --take-ownership"
        )
    elif mark.database != str(mine.identity):
        yield (
            f"{home.label} belongs to another database ({mark.database}, this is {mine.identity})."
            " If this database replaces that one, add --take-ownership"
        )
    elif difference := ownership.difference(home.label, mark, mine):
        yield difference


def take_ownership(home: Home) -> None:
    """Tie the place and this database together; paperless-ngx's own folders carry no mark."""
    mine = installation()
    if configured() is not None:
        ownership.take_ownership(home.base, mine)
    else:
        recorded.record(OWN_FOLDER, OWN_FOLDER_LABEL)


def configured() -> ProcessStorage | None:
    """Return the storage that is plugged in, None where paperless-ngx uses its own folders."""
    return documents.storage if documents.roots else None


def destination(*, looking: bool) -> Home:
    """Return what is configured, paperless-ngx's own folders when nothing is; not entered.

    ``looking`` is for a dry run, which makes no folder.
    """
    found = documents.configuration
    if configured() is None or found is None:
        return own_folders(create=not looking)
    return storage_home(found.open(), looking=looking)


def source(backend: str, options: Mapping[str, object]) -> Home:
    """Return the storage that is named, paperless-ngx's own folders when none is; not entered.

    Without ``options`` those of ``PAPERFLEET_SOURCE_OPTIONS`` count. Raises ``ConfigurationError``.
    """
    if not backend:
        if options:
            raise ConfigurationError(
                "--source-options is given, and --source-backend is not",
                hint="Name the storage, such as --source-backend=paperfleet.S3CompatibleBackend",
            )
        return own_folders(create=False)
    refuse_secret(backend, hint=f"Take it out, and set {SOURCE_OPTIONS}", origin="--source-backend")
    return storage_home(
        open_storage(backend_named(backend), options or options_of(SOURCE_OPTIONS, os.environ))
    )


def require_apart(old: Home, new: Home) -> None:
    """Raise ``ConfigurationError`` when both are one place, or lie in one another."""
    if configured() is None and old.is_local_disk and new.is_local_disk:
        raise ConfigurationError(
            "source and destination are both paperless-ngx's own folder",
            hint="Configure the destination, or name a source with --source-backend",
        )
    check_apart(old.base, new.base)


def areas(old: Home, new: Home) -> list[str]:
    """Return the areas that move: always the documents, and what else is mounted or comes home.

    On the way back to paperless-ngx's own folders everything comes that the source has.
    """
    chosen = documents.configuration.mounts if documents.configuration else frozenset()
    found = list(ALWAYS)
    for area in AREAS:
        if area in ALWAYS:
            continue
        comes_home = new.is_local_disk and next(iter(old.stats(area)), None) is not None
        if area in chosen or comes_home:
            found.append(area)
    return found


def require_sensible(parts: list[Part], old: Home) -> None:
    """Raise ``ConfigurationError`` when the source has none of the documents at all."""
    wanted = sum(len(part.expected) for part in parts)
    if wanted and not any(part.files or part.only_there for part in parts):
        raise ConfigurationError(
            f"{old.label} has none of the {wanted:,} files that the database names",
            hint="Is it the right source? Nothing was touched",
        )


def installation() -> Installation:
    """Return the row of this database; raise ``ConfigurationError`` when there is no table."""
    require_tables()
    return recorded.installation()


def require_tables() -> None:
    """Raise ``ConfigurationError`` when the tables were never made, or not those of this release.

    Those of paperless-ngx are there where ours are.
    """
    if not ownership.has_tables():
        raise ConfigurationError(
            "the tables of Paperfleet are not there yet", hint="Run `manage.py migrate` first"
        )


def require_documents() -> None:
    """Raise ``ConfigurationError`` when the database has no table of documents."""
    if not rows.exist():
        raise ConfigurationError(
            "the tables of paperless-ngx are not there yet", hint="Run `manage.py migrate` first"
        )


def require_ours(new: Home, mine: Installation, *, take: bool) -> None:
    """Raise ``ConfigurationError`` for another database's storage; with ``take``, mark nobody's.

    paperless-ngx's own folders carry no mark.
    """
    if new.is_local_disk:
        return
    mark = ownership.mark_of(new.base)
    if mark is None and take:
        ownership.mark_as_ours(new.base, mine)
    elif mark is not None and mark.database != str(mine.identity):
        raise ConfigurationError(
            f"{new.label} belongs to another database ({mark.database}, this is {mine.identity})",
            hint="Name another bucket or location; or, if this database replaces that one:"
            " `manage.py paperfleet_check --take-ownership`",
        )


def note_source(mine: Installation, label: str) -> None:
    """Let no process start on a half-filled storage."""
    mine.migrating_from = label
    mine.save(update_fields=["migrating_from"])


def note_arrival(mine: Installation, new: Home) -> None:
    """Say that the documents are in the destination; processes start there, and nowhere else."""
    mark = None if new.is_local_disk else ownership.mark_of(new.base)
    mine.migrating_from = ""
    mine.storage = mark.storage if mark else OWN_FOLDER
    mine.storage_label = new.label if mark else OWN_FOLDER_LABEL
    mine.save(update_fields=["migrating_from", "storage", "storage_label"])
