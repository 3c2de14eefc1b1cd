"""What a check finds, and what a repair makes of it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, cast

import pytest
from tests.paperless.home_kit import AREAS, Rows, held, home_of, md5, no_rest, sha256

from paperfleet.errors import FileAccessError, UnavailableError
from paperfleet.paperless.care.checking import check, left_behind
from paperfleet.paperless.care.repairing import repair
from paperfleet.paperless.care.report import Kind, Report
from paperfleet.paperless.homes import Home
from paperfleet.testing.faults import Call, FaultyStorage

if TYPE_CHECKING:
    from pathlib import Path

    from paperfleet.storage.memory.backend import MemoryBackend


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    return Rows(monkeypatch)


def checked(home: Home, *, quick: bool = False) -> Report:
    with home:
        return check(home, AREAS, quick=quick, begin=lambda *_: lambda _: None)


def repaired(home: Home, *, delete_orphans: bool = False) -> Report:
    report = checked(home)
    with home:
        repair(home, report, no_rest, delete_orphans=delete_orphans)
    return report


def places(report: Report, kind: Kind) -> list[str]:
    return [finding.place for finding in report.of(kind)]


def test_all_agree(rows: Rows) -> None:
    home = home_of({"originals/a": b"a", "archive/a": b"b", "originals/.DS_Store": b""})
    rows.add(1, "a", sha256(b"a"))
    rows.add(1, "a", md5(b"b"), "archive")
    report = checked(home)
    assert report.agrees
    assert not report.table()
    assert (report.files, report.size) == (3, 2)


def test_each_kind_is_told(rows: Rows) -> None:
    home = home_of(
        {
            "originals/rotten": b"x",
            "originals/stray": b"y",
            "aside/ab12/originals/x/old": b"z",
            "kept/ab12/archive/k": b"k",
        }
    )
    rows.add(1, "gone", sha256(b"g"))
    rows.add(2, "rotten", sha256(b"r"))
    report = checked(home)
    assert not report.agrees
    assert places(report, Kind.MISSING) == ["originals/gone"]
    assert places(report, Kind.DAMAGED) == ["originals/rotten"]
    assert places(report, Kind.ORPHANED) == ["originals/stray"]
    assert places(report, Kind.ASIDE) == ["aside/ab12/originals/x/old"]
    assert places(report, Kind.KEPT) == ["kept/ab12/archive/k"]
    assert checked(home, quick=True).of(Kind.DAMAGED) == []
    data = json.loads(json.dumps(report.as_data()))
    assert data["missing"] == [
        {"name": "originals/gone", "area": "originals", "document": 1, "checksum": sha256(b"g")}
    ]
    assert data["agrees"] is False


def test_what_was_kept_alone_is_no_disagreement(rows: Rows) -> None:
    home = home_of({"originals/a": b"a", "kept/1/originals/a": b"old"})
    rows.add(1, "a", sha256(b"a"))
    assert checked(home).agrees


def test_names_are_fit_for_a_terminal(rows: Rows) -> None:
    assert rows.files == {}
    report = checked(home_of({"originals/\x1b[31mred\n": b""}))
    assert "\x1b" not in report.table()
    assert r"originals/\x1b[31mred\n" in report.table()


def test_a_file_that_cannot_be_read_is_told_and_a_dead_storage_raises(rows: Rows) -> None:
    rows.add(1, "a", md5(b"a"))
    inner = home_of({"originals/a": b"a"})
    faulty = FaultyStorage(inner.base)
    faulty.fail("open", "originals/a", error=FileAccessError, times=None)
    assert places(checked(Home(faulty)), Kind.UNREADABLE) == ["originals/a"]
    dead = FaultyStorage(inner.base)
    dead.fail("open", "originals/a", error=UnavailableError)
    with pytest.raises(UnavailableError):
        checked(Home(dead))


def test_a_rename_in_progress_is_no_finding(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names were read before, the files after the rename."""
    home = home_of({"originals/new": b"a"})
    before = rows.add(1, "old", sha256(b"a"))
    rows.add(1, "new", sha256(b"a"))
    monkeypatch.setattr("paperfleet.paperless.documents.rows.expected", lambda _: iter([before]))
    assert checked(home).agrees


def test_a_rename_that_was_cut_off_is_taken_back(rows: Rows) -> None:
    home = home_of({"originals/new/name.pdf": b"a", "originals/stray": b"s"})
    rows.add(1, "old.pdf", sha256(b"a"))
    report = repaired(home)
    assert held(home) == {"originals/old.pdf": b"a", "originals/stray": b"s"}
    assert places(report, Kind.ORPHANED) == ["originals/stray"]
    assert not report.of(Kind.MISSING)


def test_what_was_replaced_comes_back_and_what_was_in_the_way_is_kept(rows: Rows) -> None:
    home = home_of({"originals/a": b"new", "aside/1/originals/a": b"right"})
    rows.add(1, "a", md5(b"right"))
    report = repaired(home)
    assert report.agrees
    after = held(home)
    assert after.pop("originals/a") == b"right"
    assert list(after.values()) == [b"new"]
    assert checked(home).agrees


def test_a_copy_that_nobody_needs_goes(rows: Rows) -> None:
    home = home_of({"originals/a": b"new", "aside/1/originals/a": b"old"})
    rows.add(1, "a", sha256(b"new"))
    assert repaired(home).agrees
    assert held(home) == {"originals/a": b"new"}


def test_a_copy_stays_when_it_may_be_the_only_one(rows: Rows) -> None:
    home = home_of({"originals/a": b"rotten", "aside/1/originals/a": b"older"})
    rows.add(1, "a", sha256(b"right"))
    before = held(home)
    report = repaired(home, delete_orphans=True)
    assert held(home) == before
    assert not report.agrees


def test_orphans_are_deleted_only_when_asked_for(rows: Rows) -> None:
    home = home_of({"originals/a": b"a", "originals/stray": b"s", "kept/1/originals/a": b"k"})
    rows.add(1, "a", sha256(b"a"))
    assert len(repaired(home).of(Kind.ORPHANED)) == 1
    assert len(held(home)) == 3
    assert repaired(home, delete_orphans=True).agrees
    assert held(home) == {"originals/a": b"a"}


def test_what_changed_since_the_check_is_left_alone(rows: Rows) -> None:
    home = home_of({"originals/new": b"a"})
    rows.add(1, "old", sha256(b"a"))
    report = checked(home)
    rows.add(1, "new", sha256(b"a"))
    with home:
        repair(home, report, no_rest, delete_orphans=True)
    assert held(home) == {"originals/new": b"a"}
    assert report.agrees


def test_a_repair_that_fails_is_told_and_loses_nothing(rows: Rows) -> None:
    inner = home_of({"originals/a": b"rotten", "originals/b": b"right"})
    rows.add(1, "a", sha256(b"right"))
    faulty = FaultyStorage(inner.base)
    faulty.fail("move", "originals/b", error=UnavailableError)
    report = repaired(Home(faulty))
    assert [one.failed for one in report.repairs if one.failed]
    assert not report.agrees
    assert sorted(held(inner).values()) == [b"right", b"rotten"]
    assert repaired(inner).agrees


@pytest.mark.parametrize("source", ["aside/1/originals/a", "originals/stray"])
def test_a_repair_that_arrives_damaged_is_no_repair(rows: Rows, source: str) -> None:
    """What was put in its place is read again: else the good copy would go for a damaged one."""
    inner = home_of({source: b"right"})
    rows.add(1, "a", sha256(b"right"))

    def damage(call: Call) -> None:
        if call.operation in {"save", "move"} and "originals/a" in call.names:
            inner.base.delete("originals/a")
            inner.base.save("originals/a", io.BytesIO(b"wrong"))

    report = repaired(Home(FaultyStorage(inner.base, after=damage)))
    assert [one.failed for one in report.repairs if one.failed]
    assert not [one for one in report.repairs if not one.failed]
    assert not report.agrees
    assert b"right" in held(inner).values() or source == "originals/stray"


def test_two_rows_of_one_content_need_two_files(rows: Rows) -> None:
    home = home_of({"originals/x": b"same"})
    rows.add(1, "a", sha256(b"same"))
    rows.add(2, "b", sha256(b"same"))
    report = repaired(home)
    assert len(report.of(Kind.MISSING)) == 1
    assert list(held(home).values()) == [b"same"]


def test_local_files_that_the_storage_lacks(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"")
    home = home_of({"originals/a": b""})
    with home:
        found = list(left_behind(home, {str(tmp_path): "originals"}))
    assert [one.place for one in found] == [f"{tmp_path}/b"]


def test_what_is_there_and_is_no_file_is_told(rows: Rows) -> None:
    home = home_of({"originals/a": b"a"})
    rows.add(1, "a", sha256(b"a"))
    memory = cast("MemoryBackend", home.base.inner)
    memory.files["originals/.paperfleet-mine.pdf"] = b"a document"
    memory.files["originals/.paperfleet-save-0123456789abcdef"] = b"ha"
    report = checked(home)
    assert places(report, Kind.OBSTACLE) == ["originals/.paperfleet-mine.pdf"]
    assert not report.agrees
