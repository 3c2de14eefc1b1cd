"""What a check needs of the settings: where documents are, and whose the storage is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.paperless import homes, ownership, recorded
from paperfleet.paperless.activation import documents
from paperfleet.paperless.homes import SETTINGS, Home, own_folders
from paperfleet.paperless.migrationsetup import configured, installation
from paperfleet.paperless.recorded import OWN_FOLDER, OWN_FOLDER_LABEL
from paperfleet.paperless.rows import ALWAYS
from paperfleet.storage import abilities

if TYPE_CHECKING:
    from collections.abc import Iterator


def current() -> Home:
    """Return where the documents are by the settings; not entered."""
    plugged_in = configured()
    if plugged_in is None:
        return own_folders(create=False)
    storage = plugged_in()
    return Home(storage, label=abilities.label_of(storage))


def areas() -> list[str]:
    """Return the areas that rows name and that lie in the storage."""
    chosen = documents.configuration.mounts if documents.configuration else frozenset()
    if configured() is None:
        return list(ALWAYS)
    return [area for area in SETTINGS if area in ALWAYS or area in chosen]


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
