"""What the tests in a child share: Django is set up, and the app is at work on ``stores.store``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from paperfleet.testing.faults import FaultyStorage


def pytest_configure() -> None:
    import django

    django.setup()


@pytest.fixture(autouse=True)
def store() -> Iterator[FaultyStorage]:
    """Return the storage, empty, with nothing counted yet."""
    from tests.paperless.inside.stores import memory, store

    from paperfleet.paperless.activation import documents

    _empty_database()
    memory.files.clear()
    store.heal()
    documents.require_usable()
    store.calls.clear()
    yield store
    store.heal()


def _empty_database() -> None:
    """Remove all documents past their signals and managers."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM documents_document")


@pytest.fixture
def stored(store: FaultyStorage) -> MutableMapping[str, bytes]:  # noqa: ARG001  # emptied by it
    """Return the files of the storage, past it."""
    from tests.paperless.inside.stores import memory

    return memory.files


@pytest.fixture
def originals() -> Path:
    from django.conf import settings

    return Path(settings.ORIGINALS_DIR)


@pytest.fixture
def archive() -> Path:
    from django.conf import settings

    return Path(settings.ARCHIVE_DIR)
