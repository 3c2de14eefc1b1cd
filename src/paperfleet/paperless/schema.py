"""Whether the tables in the database are those that this program was built for."""

from __future__ import annotations

import pkgutil
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_Row = tuple[int, str, str]
"""A migration that the database has had: its number, app and name."""

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
    from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415  # few ask for it

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    missing = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    return Schema(missing, _after_the_last(_recorded(), _known(executor.loader)))


def newer() -> str:
    """Say that a newer program has migrated the database; empty when none has.

    The migrations are loaded, which takes longer than all else here, only where the names of
    their files leave it open: a file may stand for many that the database has had.
    """
    recorded = _recorded()
    found = _after_the_last(recorded, set(_on_disk()))
    return told(found and _after_the_last(recorded, _known(MigrationLoader(connection))))


def told(newer: list[str]) -> str:
    """Say which migrations of a newer program the database has had; empty for none."""
    if not newer:
        return ""
    rest = f" and {len(newer) - _SHOWN} more" if len(newer) > _SHOWN else ""
    return f"the tables are those of a newer version: {', '.join(newer[:_SHOWN])}{rest}"


def _recorded() -> list[_Row]:
    """Return the migrations of our apps that the database has had, the first one first."""
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return []
    labels = {label for label, _ in _on_disk()}
    rows = recorder.migration_qs.filter(app__in=labels).order_by("pk")
    return list(rows.values_list("pk", "app", "name"))


def _on_disk() -> Iterator[tuple[str, str]]:
    """Yield app and name of each migration that there is a file of, as Django looks for them."""
    for config in apps.get_app_configs():
        package, _ = MigrationLoader.migrations_module(config.label)
        if not package or not config.name.startswith(_OURS):
            continue
        with suppress(ModuleNotFoundError):  # an app without migrations
            for _, name, is_package in pkgutil.iter_modules(import_module(package).__path__):
                if not is_package and name[0] not in "_~":
                    yield config.label, name


def _known(loader: MigrationLoader) -> set[tuple[str, str]]:
    """Return app and name of each migration of this program, and of those that they replace."""
    known = set(loader.disk_migrations or ())
    for migration in (loader.disk_migrations or {}).values():
        known.update(migration.replaces)
    return known


def _after_the_last(recorded: Sequence[_Row], known: Collection[tuple[str, str]]) -> list[str]:
    """Return what came after the last one that this program knows.

    Older ones that it does not know are those that a later version has thrown away.
    """
    last = {app: number for number, app, name in recorded if (app, name) in known}
    return [
        f"{app}.{name}"
        for number, app, name in recorded
        if (app, name) not in known and number > last.get(app, 0)
    ]
