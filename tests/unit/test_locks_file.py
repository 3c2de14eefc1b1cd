"""Leases in files: on the disk, after a restart, and where they cannot be."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from tests.unit.lease_examples import Clock

if TYPE_CHECKING:
    from pathlib import Path

from paperfleet.errors import ConfigurationError, LeaseError
from paperfleet.locks.backends import file
from paperfleet.locks.backends.file import FileLeases
from paperfleet.locks.protocol import Granted, LeaseRefused


def taken(leases: FileLeases, owner: str = "me") -> int:
    answer = leases.take("name", owner, 10)
    assert isinstance(answer, Granted)
    return answer.generation


def lease_file(folder: Path) -> Path:
    (found,) = folder.glob("*.lease")
    return found


def test_after_a_restart_of_the_machine_all_leases_are_free(tmp_path: Path) -> None:
    first = taken(FileLeases(tmp_path))
    leases = FileLeases(tmp_path)
    assert isinstance(leases.take("name", "other", 10), LeaseRefused)
    leases._boot = "another boot"
    assert taken(leases, "other") > first


def test_generations_go_on_after_the_folder_was_lost(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path)
    first = taken(leases)
    lease_file(tmp_path).unlink()
    time.sleep(0.002)
    assert taken(leases) > first


def test_generations_grow_though_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = FileLeases(tmp_path)
    first = taken(leases)
    leases.release("name", "me", first)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert taken(leases) == first + 1


def test_time_is_over_at_its_moment(tmp_path: Path) -> None:
    clock = Clock(100)
    leases = FileLeases(tmp_path, clock=clock)
    generation = taken(leases)
    clock.add(9.9)
    assert isinstance(leases.take("name", "other", 10), LeaseRefused)
    assert leases.renew("name", "me", generation, 10)
    clock.add(10)
    assert not leases.renew("name", "me", generation, 10)
    assert taken(leases, "other") > generation
    assert not leases.renew("name", "me", generation, 10)
    leases.release("name", "me", generation)
    assert isinstance(leases.take("name", "third", 10), LeaseRefused), "the other's lease stays"


def test_a_file_is_seen_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = FileLeases(tmp_path)
    generation = taken(leases)
    before = lease_file(tmp_path).read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(LeaseError, match="No space left"):
        leases.renew("name", "me", generation, 10)
    assert lease_file(tmp_path).read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"x": 1}',
        b"\xff",
        b"[" * 100_000,
        b'{"generation": "1"}',
        b'{"generation": 1, "until": "soon"}',
        b'{"generation": 1, "owner": 7}',
        b'{"generation": %s}' % (b"9" * 5000),
    ],
)
def test_a_damaged_file_is_named_and_not_guessed_at(tmp_path: Path, content: bytes) -> None:
    leases = FileLeases(tmp_path)
    taken(leases)
    lease_file(tmp_path).write_bytes(content)
    with pytest.raises(LeaseError, match="holds no lease") as error:
        leases.take("name", "other", 10)
    assert str(lease_file(tmp_path)) in str(error.value)


def test_somebody_at_the_lease_for_long_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = FileLeases(tmp_path)
    taken(leases)
    monkeypatch.setattr(file, "_LOCK_SECONDS", 0.1)
    with FileLock(lease_file(tmp_path).with_suffix(".lock"), thread_local=False):
        errors: list[LeaseError] = []

        def take() -> None:
            try:
                leases.take("name", "other", 10)
            except LeaseError as error:
                errors.append(error)

        thread = threading.Thread(target=take)
        thread.start()
        thread.join(10)
    assert len(errors) == 1
    assert "in use for 0.1 s" in str(errors[0])


def test_a_network_filesystem_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "filesystem_type", lambda _: "nfs4")
    with pytest.raises(ConfigurationError, match=r"nfs4.*Redis or PostgreSQL"):
        FileLeases(tmp_path / "leases")
    assert not (tmp_path / "leases").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        FileLeases(tmp_path / "file" / "leases")
