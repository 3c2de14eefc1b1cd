"""Whether a newer program has migrated the database, without loading every migration."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.migrations.recorder import MigrationRecorder

from paperfleet.paperless import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

NEWER = "9999_newer"


@contextmanager
def recorded(name: str, **more: int) -> Iterator[None]:
    """Let the database have had a migration, for the length of a block."""
    with transaction.atomic():
        MigrationRecorder.Migration.objects.create(app="documents", name=name, **more)
        yield
        transaction.set_rollback(True)


def loaded() -> set[str]:
    """Return the migrations of paperless-ngx that are loaded."""
    return {name for name in sys.modules if name.startswith("documents.migrations.")}


def test_that_no_newer_program_was_here_is_seen_without_loading_migrations() -> None:
    before = loaded()
    assert schema.newer() == ""
    with recorded("0000_thrown_away", id=-1):
        assert schema.newer() == ""
    assert loaded() == before


def test_what_came_after_the_last_one_is_newer() -> None:
    with recorded(NEWER):
        assert f"documents.{NEWER}" in schema.newer()
        assert schema.schema() == ([], [f"documents.{NEWER}"])


def test_what_a_migration_of_this_program_stands_for_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = MigrationRecorder.Migration.objects.filter(app="documents").latest("pk").name
    module = importlib.import_module(f"documents.migrations.{last}")
    replaces = [*module.Migration.replaces, ("documents", NEWER)]
    monkeypatch.setattr(module.Migration, "replaces", replaces)
    with recorded(NEWER):
        assert schema.newer() == ""
