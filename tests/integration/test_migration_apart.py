"""Source and target that are one place: nothing is ever lost by letting go of the source."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Self

import pytest
from tests.servers.wsgidav_server import wsgidav_server
from tests.trees import read_tree

from paperfleet.errors import NotFoundError
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.testing.faults import FaultyStorage
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.migrate import (
    FileEvent,
    Migration,
    MigrationPlanned,
    MigrationResult,
    MigrationStep,
)
from paperfleet.transfer.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.base import WebDavServer

    from paperfleet.storage.protocol import DocumentStorage

FILES = {"2024/a.pdf": b"aaa", "2024/b.pdf": b"bb", "2025/c.pdf": b"c"}


@pytest.fixture
def dav() -> Iterator[WebDavServer]:
    with wsgidav_server() as server:
        for name, content in FILES.items():
            server.write(name, content)
        yield server


def listen(event: FileEvent | MigrationPlanned) -> None:
    """Take no notice."""


def paperfleet(*arguments: object, base: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "paperfleet", *map(str, arguments)],
        env=os.environ | {"XDG_STATE_HOME": str(base / "state")} | more,
        capture_output=True,
        text=True,
        timeout=60,
    )


def written(base: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(content)
    return base


@pytest.mark.parametrize("below", ["", "2024/", "2025"])
def test_a_server_over_the_same_folder_is_refused(
    dav: WebDavServer, tmp_path: Path, below: str
) -> None:
    for source, target in ((dav.root, dav.url + below), (dav.url + below, dav.root)):
        done = paperfleet(
            *("migrate", "--delete-source", source, target),
            base=tmp_path,
            PAPERFLEET_SOURCE_OPTIONS=_options(dav, source),
            PAPERFLEET_TARGET_OPTIONS=_options(dav, target),
        )
        assert done.returncode == 1
        assert "are one place or lie in one another" in done.stderr
        assert dav.tree() == FILES


def _options(dav: WebDavServer, place: object) -> str:
    named = f'{{"username": "{dav.user}", "password": "{dav.password}"}}'
    return named if isinstance(place, str) else ""


def test_a_target_that_takes_no_probe_lets_go_of_nothing(tmp_path: Path) -> None:
    source, target = written(tmp_path / "source"), written(tmp_path / "target")
    options = {"PAPERFLEET_TARGET_OPTIONS": '{"read_only": true}'}
    done = paperfleet("migrate", "--delete-source", source, target, base=tmp_path, **options)
    assert done.returncode == 1
    assert "--delete-source is refused" in done.stderr
    assert "reading only" in done.stderr
    assert read_tree(source) == FILES
    done = paperfleet("migrate", source, target, base=tmp_path, **options)
    assert done.returncode == 0, "what is there already can be proven without writing"


def let_go(source: DocumentStorage, target: DocumentStorage, base: Path) -> MigrationResult:
    with source, target, Progress(base / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen)
        account = migration.copy(*migration.plan())
        assert account.complete
        migration.let_go(account)
    return account


def test_a_source_behind_a_cache_loses_nothing(tmp_path: Path) -> None:
    """The cache hides every probe; the first delete shows what the source is."""
    storage = MemoryBackend()
    storage.files.update(FILES)
    account = let_go(storage, storage, tmp_path)
    assert "one place" in account.stopped
    assert account.counts[MigrationStep.DELETED] == 0
    assert dict(storage.files) == FILES


class Mounted(MemoryBackend):
    """One folder of it is that of another storage."""

    def __init__(self, folder: str, other: MemoryBackend) -> None:
        super().__init__()
        self._mount, self._below = folder, other

    def __enter__(self) -> Self:
        self._below.__enter__()
        return super().__enter__()

    def _at(self, name: str) -> MemoryBackend | None:
        return self._below if name.startswith(self._mount + "/") else None

    def open(self, name: str) -> IO[bytes]:
        other = self._at(name)
        return other.open(name) if other else super().open(name)

    def delete(self, name: str) -> None:
        other = self._at(name)
        if other:
            other.delete(name)
        else:
            super().delete(name)

    def save(self, name: str, content: IO[bytes]) -> str:
        other = self._at(name)
        return other.save(name, content) if other else super().save(name, content)


def test_a_folder_of_the_source_that_is_the_targets_loses_nothing(tmp_path: Path) -> None:
    target = MemoryBackend()
    target.files.update(FILES)
    source = Mounted("2025", target)
    source.files.update(FILES)
    account = let_go(source, target, tmp_path)
    assert "one place" in account.stopped
    assert dict(target.files) == FILES


def test_a_bind_mount_inside_the_source_loses_nothing(tmp_path: Path) -> None:
    source, target = written(tmp_path / "source"), written(tmp_path / "target")
    program = """if True:
    import subprocess, sys
    source, target, *command = sys.argv[1:]
    subprocess.run(["mount", "--bind", target + "/2025", source + "/2025"], check=True)
    sys.exit(subprocess.run([*command, source, target]).returncode)
    """
    namespace = ["unshare", "--mount", "--map-root-user", "--user"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"]).returncode:
        pytest.skip("no mount namespace can be made here")
    command = [sys.executable, "-m", "paperfleet", "migrate", "--delete-source"]
    done = subprocess.run(
        [*namespace, sys.executable, "-c", program, source, target, *command],
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "share 1 folder" in done.stderr
    assert read_tree(target) == FILES == read_tree(source)


def test_hard_links_are_two_names_and_the_other_one_stays(tmp_path: Path) -> None:
    source = written(tmp_path / "source")
    target = tmp_path / "target"
    shutil.copytree(source, target, copy_function=os.link)
    account = let_go(LocalBackend(source), LocalBackend(target), tmp_path)
    assert account.counts[MigrationStep.DELETED] == len(FILES)
    assert read_tree(target) == FILES
    assert read_tree(source) == {}


def test_the_targets_copy_is_looked_at_again_before_each_delete(tmp_path: Path) -> None:
    source, target = MemoryBackend(), MemoryBackend()
    source.files.update(FILES)
    with source, target, Progress(tmp_path / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen)
        account = migration.copy(*migration.plan())
        target.delete("2024/b.pdf")
        target.save("2025/c.pdf", io.BytesIO(b"?"))
        migration.let_go(account)
    assert sorted(source.files) == ["2024/b.pdf", "2025/c.pdf"]
    assert not account.complete
    assert "is not the one that was proven" in account.failures["2024/b.pdf"]


def test_a_target_out_of_reach_after_a_delete_gets_the_file_put_back(tmp_path: Path) -> None:
    source, target = MemoryBackend(), FaultyStorage(MemoryBackend())
    source.files.update(FILES)
    with source, target, Progress(tmp_path / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen)
        account = migration.copy(*migration.plan())
        target.fail("open", times=None)
        migration.let_go(account)
    assert account.stopped
    assert dict(source.files) == FILES


def test_a_file_that_vanished_before_its_delete_is_no_accident(tmp_path: Path) -> None:
    source, target = FaultyStorage(MemoryBackend()), MemoryBackend()
    source.inner.files.update(FILES)  # type: ignore[attr-defined]
    with source, target, Progress(tmp_path / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen)
        account = migration.copy(*migration.plan())
        source.fail("delete", "2024/a.pdf", error=NotFoundError, times=1)
        migration.let_go(account)
    assert dict(target.files) == FILES
    assert account.counts[MigrationStep.DELETED] == len(FILES) - 1
