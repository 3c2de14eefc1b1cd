"""Whether the tables in the database are those that this program was built for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

if TYPE_CHECKING:
    from django.db.migrations.loader import MigrationLoader

_OURS = ("documents", "paperless", "paperfleet")
"""How the modules of those apps begin whose migrations are looked at for newer ones."""
_SHOWN = 3
NEWER_HINT = (
    "Start the version that has made them, or one after it. To stay with this one, restore a backup"
    " of database and documents from before"
)


class Schema(NamedTuple):
    """Migrations that the database lacks, and those that this program does not know."""

    missing: list[str]
    newer: list[str]


def schema() -> Schema:
    """Compare the migrations of this program with those that the database has had."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    missing = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    return Schema(missing, _newer(executor.loader))


def newer() -> str:
    """Say that a newer program has migrated the database; empty when none has."""
    return told(schema().newer)


def told(newer: list[str]) -> str:
    """Say which migrations of a newer program the database has had; empty for none."""
    if not newer:
        return ""
    rest = f" and {len(newer) - _SHOWN} more" if len(newer) > _SHOWN else ""
    return f"the tables are those of a newer version: {', '.join(newer[:_SHOWN])}{rest}"


def _newer(loader: MigrationLoader) -> list[str]:
    """Return what came after the last one that this program knows.

    Older ones that it does not know are those that a later version has thrown away.
    """
    known = set(loader.disk_migrations or ())
    for migration in (loader.disk_migrations or {}).values():
        known.update(migration.replaces)
    labels = {
        config.label for config in apps.get_app_configs() if config.name.startswith(_OURS)
    } & loader.migrated_apps
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return []
    last: dict[str, int] = {}
    unknown: list[tuple[int, str, str]] = []
    for number, app, name in recorder.migration_qs.order_by("pk").values_list("pk", "app", "name"):
        if (app, name) in known:
            last[app] = number
        elif app in labels:
            unknown.append((number, app, name))
    return [f"{app}.{name}" for number, app, name in unknown if number > last.get(app, 0)]
