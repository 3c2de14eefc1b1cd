"""A migration between storages: proven by bytes, resumed after anything, and only then let go."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING

import pytest
from tests.trees import read_tree

from paperfleet.errors import FileAccessError, UnavailableError
from paperfleet.model import Capabilities, FileStat, Obstacle
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.testing.faults import Call, FaultyStorage
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.migrate import (
    FileEvent,
    Migration,
    MigrationPlanned,
    MigrationResult,
    MigrationStep,
)
from paperfleet.transfer.progress import Progress
from paperfleet.transfer.receipt import Receipt
from paperfleet.transfer.verify import FileState, check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from paperfleet.storage.protocol import DocumentStorage

FILES = {f"20{i % 4}/doc {i}.pdf": bytes([i]) * (i * 37) for i in range(24)}
NINE = Capabilities()


def listen(event: FileEvent | MigrationPlanned) -> None:
    """Take no notice."""


def memory(files: dict[str, bytes], capabilities: Capabilities | None = None) -> MemoryBackend:
    storage = MemoryBackend() if capabilities is None else MemoryBackend(capabilities=capabilities)
    storage.files.update(files)
    return storage


def migrate(
    source: DocumentStorage, target: DocumentStorage, base: Path, *, let_go: bool = False
) -> MigrationResult:
    with source, target, Progress(base / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen, threads=4)
        account = migration.copy(*migration.plan())
        if let_go:
            migration.let_go(account)
    return account


@pytest.mark.parametrize("capabilities", [None, NINE], ids=["able", "nine methods"])
def test_everything_arrives_and_the_source_stays(
    tmp_path: Path, capabilities: Capabilities | None
) -> None:
    source, target = memory(FILES, capabilities), memory({}, capabilities)
    account = migrate(source, target, tmp_path)
    assert account.complete
    assert account.counts[MigrationStep.COPIED] == len(FILES)
    assert dict(target.files) == FILES == dict(source.files)
    digests = {entry.name: entry.sha256 for entry in account.entries}
    assert digests == {n: hashlib.sha256(c).hexdigest() for n, c in FILES.items()}


def test_what_is_there_counts_only_by_its_bytes(tmp_path: Path) -> None:
    names = sorted(FILES)
    truncated, other, equal = names[5], names[6], names[7]
    there = {
        truncated: FILES[truncated][:3],
        other: b"x" * len(FILES[other]),
        equal: FILES[equal],
        "theirs": b"kept",
    }
    target = memory(there)
    account = migrate(memory(FILES), target, tmp_path)
    assert (account.counts[MigrationStep.REPLACED], account.counts[MigrationStep.PRESENT]) == (2, 1)
    assert dict(target.files) == FILES | {"theirs": b"kept"}


def test_a_second_run_reads_nothing_again(tmp_path: Path) -> None:
    source, target = FaultyStorage(memory(FILES)), memory({})
    migrate(source, target, tmp_path)
    source.calls.clear()
    account = migrate(source, target, tmp_path)
    assert account.counts[MigrationStep.TRUSTED] == len(FILES)
    assert not [call for call in source.calls if call.operation == "open"]


def test_what_changed_at_the_target_since_is_not_trusted(tmp_path: Path) -> None:
    source, target = memory(FILES), memory({})
    migrate(source, target, tmp_path)
    name = sorted(FILES)[9]
    with target:
        target.save(name, io.BytesIO(b"y" * len(FILES[name])))
    account = migrate(source, target, tmp_path)
    assert account.counts[MigrationStep.REPLACED] == 1
    assert dict(target.files) == FILES


def test_single_failures_do_not_stop_the_rest_nor_delete_anything(tmp_path: Path) -> None:
    source, target = memory(FILES), FaultyStorage(memory({}))
    name = sorted(FILES)[3]
    target.fail(name=name, error=FileAccessError, times=None)
    account = migrate(source, target, tmp_path, let_go=True)
    assert list(account.failures) == [name]
    assert account.counts[MigrationStep.COPIED] == len(FILES) - 1
    assert dict(source.files) == FILES
    assert not account.complete


def test_a_storage_out_of_reach_stops_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    inner = memory({})
    target = FaultyStorage(inner)
    target.fail("save_with", error=UnavailableError, times=1)
    account = migrate(memory(FILES), target, tmp_path)
    assert account.stopped
    before = len(inner.files)
    account = migrate(memory(FILES), target, tmp_path, let_go=False)
    assert account.complete
    assert account.counts[MigrationStep.COPIED] <= len(FILES) - before + 1
    assert dict(inner.files) == FILES


class Lagging(MemoryBackend):
    """Lists one file no more and another one still; the files themselves are as they are."""

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        listed = sorted(super().list_stats(prefix))
        return iter([*listed[1:], FileStat("gone.pdf", 4, 1, '"old"')])


def test_listings_that_lag_behind_mislead_nobody(tmp_path: Path) -> None:
    target = Lagging()
    target.files.update(FILES)
    account = migrate(memory(FILES | {"gone.pdf": b"gone"}), target, tmp_path)
    assert account.complete
    assert dict(target.files) == FILES | {"gone.pdf": b"gone"}
    receipt = Receipt("", "", "", tuple(account.entries))
    with target:
        assert {checked.state for checked in check(receipt, full(target))} == {FileState.INTACT}
        target.delete("gone.pdf")
        states = {checked.entry.name: checked.state for checked in check(receipt, full(target))}
    assert [name for name in states if states[name] is not FileState.INTACT] == ["gone.pdf"]
    assert states["gone.pdf"] is FileState.MISSING


class Corrupting(MemoryBackend):
    """Stores other bytes than it was given, and does not say so."""

    def save(self, name: str, content: IO[bytes]) -> str:
        return super().save(name, io.BytesIO(content.read()[:-1] + b"?"))


def test_a_target_that_stores_other_bytes_is_found_out(tmp_path: Path) -> None:
    target = Corrupting(capabilities=NINE)
    account = migrate(memory({"a": b"bytes"}), target, tmp_path, let_go=True)
    assert list(account.failures) == ["a"]
    assert "other bytes" in account.failures["a"]


def test_letting_go_keeps_what_changed_since(tmp_path: Path) -> None:
    source, target = memory(FILES), memory({})
    name = sorted(FILES)[4]
    with source, target, Progress(tmp_path / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen)
        account = migration.copy(*migration.plan())
        source.save(name, io.BytesIO(b"a new version"))
        source.save("new.pdf", io.BytesIO(b"came meanwhile"))
        migration.let_go(account)
    assert dict(source.files) == {name: b"a new version", "new.pdf": b"came meanwhile"}
    assert account.counts[MigrationStep.DELETED] == len(FILES) - 1
    assert account.counts[MigrationStep.KEPT] == 2


def test_names_that_the_target_folds_are_not_overwritten(tmp_path: Path) -> None:
    target = memory({}, Capabilities(case_sensitive=False))
    account = migrate(memory({"A.pdf": b"1", "a.pdf": b"2"}), target, tmp_path, let_go=True)
    assert list(account.failures) == ["a.pdf"]
    assert dict(target.files) == {"A.pdf": b"1"}


def test_a_file_that_vanishes_meanwhile_is_told(tmp_path: Path) -> None:
    inner = memory({"a": b"1", "b": b"2"})

    def vanish(call: Call) -> None:
        if call == Call("open", ("a",)):
            inner.files.pop("a", None)

    source = FaultyStorage(inner, before=vanish)
    account = migrate(source, memory({}), tmp_path)
    assert account.counts[MigrationStep.VANISHED] == 1
    assert account.complete


class Slashed(MemoryBackend):
    """Lists a name under which there is nothing, as a key that ends in a slash may be listed."""

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        yield from super().survey(prefix)
        yield FileStat("folder", 5, 1)


def test_what_is_listed_and_cannot_be_opened_has_not_vanished(tmp_path: Path) -> None:
    source = Slashed()
    source.files.update({"a": b"1"})
    account = migrate(source, memory({}), tmp_path, let_go=True)
    assert "no file of this name to open" in account.obstacles["folder"]
    assert not account.complete
    assert dict(source.files) == {"a": b"1"}


def test_bandwidth_is_limited(tmp_path: Path) -> None:
    files = {"a": b"x" * 300_000}
    began = time.monotonic()
    source, target = memory(files), memory({})
    with source, target, Progress(tmp_path / "p") as progress:
        migration = Migration(source, target, progress, Bandwidth(1_000_000), listen)
        assert migration.copy(*migration.plan()).complete
    assert dict(target.files) == files
    assert time.monotonic() - began > 0.2


def test_a_progress_line_that_was_cut_off_is_verified_again(tmp_path: Path) -> None:
    source, target = memory(FILES), memory({})
    migrate(source, target, tmp_path)
    path = tmp_path / "progress.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    account = migrate(source, target, tmp_path)
    assert account.counts[MigrationStep.PRESENT] == 1
    assert account.counts[MigrationStep.TRUSTED] == len(FILES) - 1
    account = migrate(source, target, tmp_path)
    assert account.counts[MigrationStep.TRUSTED] == len(FILES)


def paperfleet(*arguments: str, base: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "paperfleet", *arguments],
        env=os.environ | {"XDG_STATE_HOME": str(base / "state")},
        capture_output=True,
        text=True,
        timeout=60,
    )


def write_source(base: Path, count: int = 60) -> Path:
    for number in range(count):
        path = base / f"source/{number % 6}/doc {number}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(20_000))
    return base / "source"


def test_the_command_as_a_user_would(tmp_path: Path) -> None:
    source, target = write_source(tmp_path), tmp_path / "target"
    files = read_tree(source)
    dry = paperfleet("migrate", "--dry-run", str(source), str(target), base=tmp_path)
    assert (dry.returncode, dry.stdout.count("60 files")) == (0, 1)
    assert not target.exists()
    receipt, report = str(tmp_path / "r"), tmp_path / "report.json"
    done = paperfleet(
        *("migrate", "--delete-source", "--receipt", receipt, "--report", str(report)),
        *(str(source), str(target)),
        base=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert read_tree(target) == files
    assert read_tree(source) == {}
    assert json.loads(report.read_text())["complete"] is True
    assert paperfleet("verify", receipt, str(target), base=tmp_path).returncode == 0
    victim = next(p for p in target.rglob("*") if p.is_file())
    content = victim.read_bytes()
    victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    bad = paperfleet("verify", receipt, str(target), base=tmp_path)
    assert bad.returncode == 3
    assert f"changed: {victim.relative_to(target)}" in bad.stdout


def test_wrong_places_are_refused_by_name(tmp_path: Path) -> None:
    source = write_source(tmp_path, 1)
    inside = paperfleet("migrate", str(source), str(source / "inside"), base=tmp_path)
    assert inside.returncode == 1
    assert "lie in one another" in inside.stderr
    unknown = paperfleet("migrate", str(source), "s4://bucket", base=tmp_path)
    assert unknown.returncode == 1
    assert "s4" in unknown.stderr


def test_a_source_that_is_missing_is_an_error_and_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    done = paperfleet("migrate", str(missing), str(tmp_path / "target"), base=tmp_path)
    assert done.returncode == 1
    assert str(missing) in done.stderr
    assert not missing.exists()
    missing.mkdir()
    done = paperfleet("migrate", str(missing), str(tmp_path / "target"), base=tmp_path)
    assert done.returncode == 0
    assert "is its address the right one" in done.stderr


@pytest.mark.parametrize("threads", ["0", "many"])
def test_threads_are_a_number(tmp_path: Path, threads: str) -> None:
    done = paperfleet("migrate", "--threads", threads, str(tmp_path), "t", base=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "--threads" in done.stderr


@pytest.mark.crash
@pytest.mark.parametrize("delay", [0.5, 0.8, 1.1])
def test_killed_in_the_middle_it_goes_on(tmp_path: Path, delay: float) -> None:
    source, target = write_source(tmp_path), tmp_path / "target"
    files = read_tree(source)
    command = ["migrate", "--delete-source", "--bwlimit", "1M", str(source), str(target)]
    process = subprocess.Popen(
        [sys.executable, "-m", "paperfleet", *command],
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert read_tree(source) == files, "nothing is deleted before all is verified"
    done = paperfleet("migrate", "--delete-source", str(source), str(target), base=tmp_path)
    assert done.returncode == 0, done.stderr
    arrived = {n: c for n, c in read_tree(target).items() if "paperfleet-" not in n}
    assert arrived == files
    assert read_tree(source) == {}


def test_local_to_local_uses_the_real_backend(tmp_path: Path) -> None:
    source = write_source(tmp_path, 5)
    account = migrate(LocalBackend(source), LocalBackend(tmp_path / "t"), tmp_path, let_go=True)
    assert account.counts[MigrationStep.DELETED] == 5
    assert not list(source.iterdir())
