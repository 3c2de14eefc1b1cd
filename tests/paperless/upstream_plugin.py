"""Runs paperless-ngx's own tests with their documents in a storage; for ``-p``.

Each folder of documents that a test sets up becomes a mount on a storage of its own, in memory. A
test that leaves a file in the local folder instead fails: it went past the storage.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_roots: set[str] = set()


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Follow the folders that tests set."""
    from django.core.signals import setting_changed

    from paperfleet.paperless.activation import documents
    from paperfleet.paperless.documents import files

    setting_changed.connect(_follow)
    # Each test has its own, empty storages, which belong to nobody.
    files.guard_with(lambda _: None)
    documents.require_usable = lambda: None  # type: ignore[method-assign]
    tempfile.mkstemp = _made_where_told(tempfile.mkstemp)  # type: ignore[assignment]


def pytest_collection_finish() -> None:
    """Let tests that write their own documents write them where they set the folder up."""
    from documents.tests import conftest, utils

    from paperfleet.paperless.documents.paths import StoragePath

    set_up = utils.setup_directories

    def with_storage_paths() -> object:
        dirs = set_up()
        for name in ("media_dir", "originals_dir", "archive_dir"):
            setattr(dirs, name, StoragePath(str(getattr(dirs, name))))
        return dirs

    utils.setup_directories = with_storage_paths
    if hasattr(conftest, "PaperlessDirs"):
        conftest.PaperlessDirs.__getattribute__ = _as_storage_path


def _as_storage_path(dirs: object, name: str) -> object:
    from paperfleet.paperless.documents.paths import StoragePath

    value = object.__getattribute__(dirs, name)
    return StoragePath(str(value)) if name in {"media", "originals", "archive"} else value


def _made_where_told(original: Callable[..., tuple[int, str]]) -> Callable[..., tuple[int, str]]:
    """Return a ``mkstemp`` that makes a document where a test asks for one."""
    from paperfleet.paperless.documents.active import place_of
    from paperfleet.paperless.documents.paths import StoragePath

    def new(*arguments: Any, **keywords: Any) -> tuple[int, str]:  # noqa: ANN401  # mkstemp's signature
        folder = keywords.get("dir")
        if folder is None or place_of(folder) is None:
            return original(*arguments, **keywords)
        path = StoragePath(str(folder)) / f"{uuid.uuid4().hex}{keywords.get('suffix') or ''}"
        path.touch()
        return os.open(os.devnull, os.O_RDWR), str(path)

    return new


def _follow(*, setting: str, value: object, **_: object) -> None:
    from django.conf import settings

    from paperfleet.paperless.areas import ALWAYS, AREAS
    from paperfleet.paperless.documents import active
    from paperfleet.paperless.documents.mounts import Mount
    from paperfleet.paperless.documents.paths import StoragePath
    from paperfleet.storage.memory.backend import MemoryBackend

    keys = {AREAS[key].setting: key for key in ALWAYS}
    if value is None or setting not in {"MEDIA_ROOT", *keys}:
        return
    if setting in keys:
        root = os.path.realpath(str(value))
        if root not in _roots:
            storage = MemoryBackend().__enter__()
            active.mounts.add(Mount(root, keys[setting], lambda: storage))
            _roots.add(root)
    setattr(settings, setting, StoragePath(str(value)))


@pytest.fixture(autouse=True)
def _tables_change() -> None:
    """Look at the tables each time: tests of migrations change them without `manage.py migrate`."""
    from paperfleet.paperless.documents import rows

    rows.before_migrate()


@pytest.fixture(autouse=True)
def _nothing_past_the_storage() -> Iterator[None]:
    yield
    from django.conf import settings

    from paperfleet.paperless.areas import ALWAYS, AREAS
    from paperfleet.paperless.documents import active

    current = {os.path.realpath(str(getattr(settings, AREAS[key].setting))) for key in ALWAYS}
    left = []
    for root in list(_roots):
        found = [f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names]
        left += found
        if found or (root not in current and not os.path.isdir(root)):  # noqa: PTH112  # the local one
            active.mounts.remove(root)
            _roots.discard(root)
    assert not left, f"on the local disk: {left}"
