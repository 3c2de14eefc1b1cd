"""A storage behind a wrapper that passes calls on keeps the promises of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.wrappers.fenced import Fenced
from paperfleet.testing.storage_suite import FolderBypass, StorageSuite

if TYPE_CHECKING:
    from pathlib import Path


class TestFenced(StorageSuite):
    """One example of what ``Wrapper`` passes on."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Fenced:
        return Fenced(LocalBackend(tmp_path / "root"), lambda: None)

    @pytest.fixture
    def bypass(self, tmp_path: Path) -> FolderBypass:
        return FolderBypass(tmp_path / "root")
