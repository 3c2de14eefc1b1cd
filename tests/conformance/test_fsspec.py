"""Filesystems of fsspec keep the promises of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import pytest

from paperfleet.errors import ConfigurationError
from paperfleet.storage.addresses import meaning_of
from paperfleet.storage.fsspec_backend import FsspecBackend
from paperfleet.storage.registry import open_storage
from paperfleet.testing.storage_suite import FolderBypass, StorageSuite

if TYPE_CHECKING:
    from pathlib import Path


class TestFsspecLocal(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> FsspecBackend:
        return FsspecBackend(f"file://{tmp_path}/root")

    @pytest.fixture
    def bypass(self, tmp_path: Path) -> FolderBypass:
        return FolderBypass(tmp_path / "root")


class FsspecMemoryBypass:
    def __init__(self, storage: FsspecBackend) -> None:
        self._files, self._root = storage._place()

    def read(self, name: str) -> bytes:
        content: bytes = self._files.cat_file(f"{self._root}/{name}")
        return content

    def write(self, name: str, content: bytes) -> None:
        self._files.pipe_file(f"{self._root}/{name}", content)

    def names(self) -> set[str]:
        return {path.removeprefix(f"{self._root}/") for path in self._files.find(self._root)}


class TestFsspecMemory(StorageSuite):
    exceptions: ClassVar = {
        "test_stream_is_binary_and_seekable": "fsspec never closes a file in memory",
        "test_two_streams_are_independent": "fsspec has one stream for each file in memory",
        "test_readers_see_the_old_or_the_new": "two readers move the one position of that stream",
    }

    @pytest.fixture
    def storage(self, tmp_path: Path) -> FsspecBackend:
        return FsspecBackend(f"memory:/{tmp_path}")

    @pytest.fixture
    def bypass(self, storage: FsspecBackend) -> FsspecMemoryBypass:
        return FsspecMemoryBypass(storage)


def test_addresses_hide_the_password() -> None:
    meant = meaning_of("sftp://ann:s3cret@host:2222/docs")
    assert meant.options["url"] == "sftp://host:2222/docs"
    assert meant.options["username"] == "ann"
    assert "s3cret" not in str(meant)
    assert meaning_of("smb://ann@host/share/docs").options == {"url": "smb://ann@host/share/docs"}


def test_any_kind_of_fsspec_by_address(tmp_path: Path) -> None:
    storage = open_storage(f"fsspec+file://{tmp_path}?auto_mkdir=true")
    with storage:
        assert list(storage.list_files()) == []
    assert urlsplit(str(getattr(storage, "label", ""))).scheme == "file"


def test_a_kind_that_fsspec_does_not_know() -> None:
    with pytest.raises(ConfigurationError, match="no filesystem 'nonsense'"):
        open_storage("fsspec+nonsense://host/path")


def test_a_package_that_is_missing() -> None:
    with (
        pytest.raises(ConfigurationError, match="needs a package"),
        (storage := FsspecBackend("smb://host/share")),
    ):
        storage.exists("a")
