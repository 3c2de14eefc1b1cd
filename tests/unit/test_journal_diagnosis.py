"""A journal is looked at, and left as it is."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from paperfleet.diagnosis import CheckResult, Verdict
from paperfleet.journal import diagnosis
from paperfleet.journal.diagnosis import JournalChecks
from paperfleet.journal.journal import Journal
from paperfleet.model import KnownFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAIR = ("file:///a", "webdavs://cloud/b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


def made(path: Path) -> None:
    with Journal.open(path, source=PAIR[0], target=PAIR[1]) as journal:
        journal.remember([KnownFile("a", "a", 1, "aa" * 32, 1, None, None, None)])


def place(path: Path) -> list[CheckResult]:
    return list(JournalChecks(path, lambda: PAIR).place())


def content(path: Path, pair: tuple[str, str] | None = PAIR) -> list[CheckResult]:
    before = _state(path)
    found = list(JournalChecks(path, lambda: pair).content())
    assert _state(path) == before, "it was changed"
    return found


def _state(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.parent.glob("*")}


def verdicts(found: list[CheckResult]) -> list[str]:
    return [one.verdict.value for one in found]


def test_none_yet_is_well(path: Path) -> None:
    assert verdicts(place(path)) == verdicts(content(path)) == ["ok"]
    assert not path.parent.exists()


def test_one_that_rests_is_left_without_new_files(path: Path) -> None:
    made(path)
    assert verdicts(place(path)) == verdicts(content(path)) == ["ok"]
    assert sorted(_state(path)) == ["journal.sqlite", "journal.sqlite.lock"]


def test_one_that_a_mirror_has_open(path: Path) -> None:
    with Journal.open(path, source=PAIR[0], target=PAIR[1]) as journal:
        journal.remember([KnownFile("a", "a", 1, "aa" * 32, 1, None, None, None)])
        found = list(JournalChecks(path, lambda: PAIR).content())
    assert verdicts(found) == ["ok"]


def test_of_another_pair(path: Path) -> None:
    made(path)
    (found,) = content(path, ("file:///a", "file:///b"))
    assert found.verdict is Verdict.PROBLEM
    assert "belongs to file:///a -> webdavs://cloud/b" in found.text
    assert "of its own" in found.remedy


def test_of_a_pair_that_is_not_known(path: Path) -> None:
    made(path)
    assert verdicts(content(path, None)) == ["unknown"]


def test_a_damaged_one(path: Path) -> None:
    made(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    (found,) = content(path)
    assert found.verdict is Verdict.PROBLEM
    assert "corrupt" in found.text
    assert "Move it aside" in found.remedy


@pytest.mark.parametrize("data", [b"no database at all, and long enough to be read" * 100])
def test_another_file(data: bytes, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    assert verdicts(content(path)) == ["problem"]


def test_another_programs_database(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE x (y)")
    (found,) = content(path)
    assert "not a journal of Paperfleet" in found.text


@pytest.mark.parametrize(
    ("version", "verdict", "words"),
    [(99, "problem", "newer"), (1, "ok", "older"), (0, "ok", "empty")],
)
def test_other_versions(version: int, verdict: str, words: str, path: Path) -> None:
    made(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {version}")
    assert not list(path.parent.glob("*-*"))
    found = content(path)[-1]
    assert (found.verdict.value, words in found.text) == (verdict, True)


def test_a_mirror_that_rests(path: Path) -> None:
    made(path)
    with Journal.open(path, source=PAIR[0], target=PAIR[1]) as journal:
        journal.set_fact("paused", {"reason": "wrong password", "hint": "make a new one"})
    found = content(path)
    assert verdicts(found) == ["ok", "warning"]
    assert (found[1].text, found[1].remedy) == (
        "the mirror rests: wrong password",
        "make a new one",
    )


@pytest.fixture
def plain_user() -> Iterator[None]:
    """Be nobody in particular: root may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_this_user_may_not_write(
    what: str, path: Path, request: pytest.FixtureRequest
) -> None:
    made(path)
    for above in path.parents[:3]:
        above.chmod(0o755)
    path.parent.chmod(0o555 if what == "folder" else 0o777)
    path.chmod(0o444)
    request.getfixturevalue("plain_user")
    (found,) = place(path)
    assert found.verdict is Verdict.PROBLEM
    assert "may not write" in found.text


def test_a_network_filesystem(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "filesystem_type", lambda _: "nfs4")
    (found,) = place(path)
    assert found.verdict is Verdict.PROBLEM
    assert "network filesystem (nfs4)" in found.text
