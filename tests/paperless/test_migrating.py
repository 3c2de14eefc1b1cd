"""Migrations by the rows of the database: what is copied, what is kept, what is deleted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from tests.paperless.home_kit import AREAS, Rows, held, home_of, md5, sha256, silent

from paperfleet.errors import ConfigurationError, NameRefusedError, UnavailableError
from paperfleet.model import Obstacle
from paperfleet.paperless.care.migrating import DocumentMigration, MigratedDocuments, prove_apart
from paperfleet.paperless.care.surveying import survey
from paperfleet.paperless.homes import Home
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.wrappers.prefixed import Prefixed
from paperfleet.testing.faults import FaultyStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from paperfleet.model import FileStat


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    return Rows(monkeypatch)


def migrate(source: Home, target: Home, folder: Path, *, delete: bool = True) -> MigratedDocuments:
    with source, target:
        parts = survey(source, target, AREAS)
        return DocumentMigration(source, target, folder, silent).run(parts, delete=delete)


def test_everything_moves_and_is_deleted_at_the_end(rows: Rows, tmp_path: Path) -> None:
    files = {"originals/2024/é.pdf": b"one", "archive/2024/é.pdf": b"two", "originals/c": b""}
    source, target = home_of(files), home_of({})
    rows.add(1, "2024/é.pdf", sha256(b"one"))
    rows.add(1, "2024/é.pdf", sha256(b"two"), "archive")
    rows.add(2, "c", md5(b""))
    result = migrate(source, target, tmp_path)
    assert (result.copied, result.deleted, result.good) == (3, 3, True)
    assert held(target) == files
    assert held(source) == {}
    again = migrate(source, target, tmp_path)
    assert (again.copied, again.skipped, again.good) == (0, 3, True)


def test_it_is_told_when_all_is_proven_and_nothing_gone(rows: Rows, tmp_path: Path) -> None:
    files = {"originals/a": b"a", "archive/b": b"b"}
    source, target = home_of(files), home_of({})
    rows.add(1, "a", sha256(b"a"))
    rows.add(1, "b", sha256(b"b"), "archive")
    held_then = []

    def proven() -> None:
        held_then.append((held(source), held(target)))

    with source, target:
        migration = DocumentMigration(source, target, tmp_path, silent)
        assert migration.run(survey(source, target, AREAS), delete=True, proven=proven).good
    assert held_then == [(files, files)]
    assert held(source) == {}


def test_nothing_is_told_when_one_has_failed(rows: Rows, tmp_path: Path) -> None:
    source, target = home_of({"originals/a": b"a", "originals/b": b"b"}), home_of({})
    rows.add(1, "a", sha256(b"a"))
    rows.add(2, "b", sha256(b"b"))
    watched = FaultyStorage(target.base)
    watched.fail("save_with", "originals/b", times=None)
    told: list[None] = []
    with source, Home(watched) as broken:
        migration = DocumentMigration(source, broken, tmp_path, silent)
        parts = survey(source, broken, AREAS)
        assert migration.run(parts, delete=True, proven=lambda: told.append(None)).failed
    assert told == []


def test_without_delete_the_second_run_reads_nothing_again(rows: Rows, tmp_path: Path) -> None:
    source, target = home_of({"originals/a": b"a"}), home_of({})
    rows.add(1, "a", sha256(b"a"))
    assert migrate(source, target, tmp_path, delete=False).copied == 1
    watched = FaultyStorage(source.base)
    again = migrate(Home(watched), target, tmp_path, delete=False)
    assert (again.copied, again.skipped) == (0, 1)
    assert not [call for call in watched.calls if call.operation == "open"]


@pytest.mark.parametrize("hashed", [sha256, md5])
def test_what_differs_from_the_database_is_copied_and_never_deleted(
    rows: Rows, tmp_path: Path, hashed: Callable[[bytes], str]
) -> None:
    files = {"originals/bad": b"rotten", "originals/good": b"good"}
    source, target = home_of(files), home_of({})
    rows.add(1, "bad", hashed(b"sound"))
    rows.add(2, "good", hashed(b"good"))
    result = migrate(source, target, tmp_path)
    assert list(result.differing) == ["originals/bad"]
    assert result.complete
    assert not result.good
    assert held(target) == files
    assert held(source) == {"originals/bad": b"rotten"}


@pytest.mark.parametrize("hashed", [sha256, md5])
def test_an_old_copy_does_not_replace_what_the_database_means(
    rows: Rows, tmp_path: Path, hashed: Callable[[bytes], str]
) -> None:
    """Somebody kept the local files, worked on the bucket for a month, and ran it again."""
    source, target = home_of({"originals/a": b"old"}), home_of({"originals/a": b"rotated"})
    rows.add(1, "a", hashed(b"rotated"))
    result = migrate(source, target, tmp_path)
    assert (result.copied, result.skipped, result.kept, result.good) == (0, 1, 1, True)
    assert held(target) == {"originals/a": b"rotated"}
    assert held(source) == {"originals/a": b"old"}


def test_what_is_in_the_way_is_kept(rows: Rows, tmp_path: Path) -> None:
    source, target = home_of({"originals/a": b"right"}), home_of({"originals/a": b"stale"})
    rows.add(1, "a", sha256(b"right"))
    assert migrate(source, target, tmp_path).copied == 1
    kept = held(target)
    assert kept.pop("originals/a") == b"right"
    assert list(kept.values()) == [b"stale"]
    assert next(iter(kept)).startswith("kept/")


def test_missing_and_unlisted_are_told_and_left(rows: Rows, tmp_path: Path) -> None:
    source = home_of({"originals/stray": b"s", "originals/.DS_Store": b""})
    target = home_of({"originals/there": b"t", "originals/rotten": b"?"})
    rows.add(1, "gone", sha256(b"g"))
    rows.add(2, "there", sha256(b"t"))
    rows.add(3, "rotten", sha256(b"r"))
    result = migrate(source, target, tmp_path)
    assert result.missing == ["originals/gone"]
    assert result.unlisted == ["originals/stray"]
    assert list(result.differing) == ["originals/rotten"]
    assert result.skipped == 2
    assert set(held(source)) == {"originals/stray", "originals/.DS_Store"}


def test_a_failure_stops_nothing_but_the_deleting(rows: Rows, tmp_path: Path) -> None:
    files = {f"originals/{n}": bytes([n]) for n in range(20)}
    source, inner = home_of(files), home_of({})
    for n in range(20):
        rows.add(n, str(n), sha256(bytes([n])))
    faulty = FaultyStorage(inner.base)
    refused = lambda: NameRefusedError("too long", name="originals/7")  # noqa: E731
    faulty.fail("save_with", "originals/7", error=refused)
    result = migrate(source, Home(faulty), tmp_path)
    assert list(result.failed) == ["originals/7"]
    assert (result.copied, result.deleted) == (19, 0)
    assert held(source) == files
    again = migrate(source, inner, tmp_path)
    assert (again.copied, again.skipped, again.deleted, again.good) == (1, 19, 20, True)


def test_a_storage_that_goes_away_stops_it(rows: Rows, tmp_path: Path) -> None:
    files = {f"originals/{n:03}": bytes([n]) for n in range(200)}
    source, inner = home_of(files), home_of({})
    for n in range(200):
        rows.add(n, f"{n:03}", sha256(bytes([n])))
    faulty = FaultyStorage(inner.base)
    faulty.fail("save_with", "originals/005", error=UnavailableError)
    result = migrate(source, Home(faulty), tmp_path)
    assert result.stopped
    assert held(source) == files


def test_work_in_progress_forbids_deleting(rows: Rows, tmp_path: Path) -> None:
    source, target = home_of({"originals/a": b"a"}), home_of({})
    rows.add(1, "a", sha256(b"a"))
    with source, target:
        parts = survey(source, target, AREAS)
        rows.add(2, "new", sha256(b"new"))
        source.base.save("originals/new", io.BytesIO(b"new"))
        result = DocumentMigration(source, target, tmp_path, silent).run(parts, delete=True)
    assert list(result.failed) == ["originals/new"]
    assert set(held(source)) == {"originals/a", "originals/new"}


def test_a_stop_deletes_nothing(rows: Rows, tmp_path: Path) -> None:
    source, target = home_of({"originals/a": b"a"}), home_of({})
    rows.add(1, "a", sha256(b"a"))
    with source, target:
        migration = DocumentMigration(source, target, tmp_path, silent)
        migration.stop()
        result = migration.run(survey(source, target, AREAS), delete=True)
    assert result.stopped
    assert held(source) == {"originals/a": b"a"}


class Blocked(MemoryBackend):
    """Has a link and a folder that cannot be read."""

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        yield from super().survey(prefix)
        if prefix in {"", "originals"}:
            yield Obstacle("originals/link.pdf", "a symbolic link")
            yield Obstacle("originals/closed", "permission denied", below=True)


def test_what_cannot_be_read_is_told_and_fails_what_the_database_names(
    rows: Rows, tmp_path: Path
) -> None:
    storage = Blocked()
    storage.files["originals/a"] = b"a"
    source, target = Home(storage), home_of({})
    rows.add(1, "a", sha256(b"a"))
    with source, target:
        parts = survey(source, target, AREAS)
    assert parts[0].obstacles == {"link.pdf": "a symbolic link", "closed": "permission denied"}
    assert migrate(source, target, tmp_path).complete, "the database names none of them"
    storage.files["originals/a"] = b"a"
    rows.add(2, "closed/b", sha256(b"b"))
    rows.add(3, "link.pdf", sha256(b"c"))
    result = migrate(source, target, tmp_path)
    assert result.failed == {
        "originals/closed/b": "closed: permission denied",
        "originals/link.pdf": "a symbolic link",
    }
    assert held(source) == {"originals/a": b"a"}
    assert held(target) == {"originals/a": b"a"}


def test_one_place_under_two_addresses_is_found_out(tmp_path: Path) -> None:
    source = home_of({"originals/a": b"a"})
    other = MemoryBackend()
    with source, Home(Prefixed(source.base, "originals")) as inside, Home(other) as apart:
        prove_apart(source, apart, AREAS, delete=True)
        for target in (source, inside):
            with pytest.raises(ConfigurationError, match="one place or lie in one another"):
                prove_apart(source, target, AREAS, delete=True)
        with LocalBackend(tmp_path, read_only=True) as closed:
            prove_apart(source, Home(closed), AREAS, delete=False)
            with pytest.raises(ConfigurationError, match="could not be found out"):
                prove_apart(source, Home(closed), AREAS, delete=True)
    assert held(source) == {"originals/a": b"a"}
    assert dict(other.files) == {}
