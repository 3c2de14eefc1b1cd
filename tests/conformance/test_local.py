"""A folder on disk keeps the promises of the protocol."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from paperfleet.storage.local import writing as durable
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.testing.storage_suite import FolderBypass, StorageSuite

if TYPE_CHECKING:
    from pathlib import Path


class TestLocal(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalBackend:
        return LocalBackend(tmp_path / "root")

    @pytest.fixture
    def bypass(self, tmp_path: Path) -> FolderBypass:
        return FolderBypass(tmp_path / "root")


class TestLocalWithoutRenameat2(TestLocal):
    """Files move by a second hard link."""

    @pytest.fixture(autouse=True)
    def _older_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(durable, "_rename_noreplace", lambda *_: False)


class TestLocalWithoutHardLinks(TestLocalWithoutRenameat2):
    """Files move by a plain rename, as on FAT."""

    @pytest.fixture(autouse=True)
    def _without_hard_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "link", refuse_link)


def refuse_link(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


class TestLocalFollowingLinks(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalBackend:
        real, link = tmp_path / "real", tmp_path / "link"
        real.mkdir()
        link.symlink_to(real)
        return LocalBackend(link, follow_links=True)

    @pytest.fixture
    def bypass(self, tmp_path: Path) -> FolderBypass:
        return FolderBypass(tmp_path / "real")
