"""Names in the database lose the prefix of their folder, where they carry one."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import migrations

if TYPE_CHECKING:
    from django.apps.registry import Apps
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Look into the storage only when a row begins like a prefix."""
    from paperfleet.paperless.care import prefixes  # noqa: PLC0415  # a migration is loaded early
    from paperfleet.paperless.care.setup import configured  # noqa: PLC0415
    from paperfleet.paperless.documents import active  # noqa: PLC0415  # a migration is loaded early
    from paperfleet.paperless.homes import Home, own_folders  # noqa: PLC0415

    rows, notes = _managers(apps, schema_editor)
    if next(prefixes.suspects(rows), None) is None:
        return
    with active.unmounted(), ExitStack() as blocks:
        homes = [blocks.enter_context(own_folders(create=False))]
        plugged_in = configured()
        if plugged_in is not None:
            homes.append(Home(plugged_in()))
        prefixes.strip(rows, notes, homes)


def backwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give back what was stripped."""
    from paperfleet.paperless.care import prefixes  # noqa: PLC0415

    prefixes.restore(*_managers(apps, schema_editor))


def _managers(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> tuple[Any, Any]:
    using = schema_editor.connection.alias
    document = apps.get_model("documents", "Document")
    note = apps.get_model("paperfleet", "StrippedName")
    # objects may leave out the trash
    return document._base_manager.using(using), note._base_manager.using(using)  # noqa: SLF001  # Django's documented name


class Migration(migrations.Migration):
    """See the module."""

    dependencies: ClassVar = [
        ("paperfleet", "0001_initial"),
        # By the name that Django has for it: the first one is called otherwise in each version.
        ("documents", "__first__"),
    ]

    operations: ClassVar = [migrations.RunPython(forwards, backwards)]
