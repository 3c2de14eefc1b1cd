"""A scan compared with the journal, and the known files of one folder."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperfleet.journal.database import queries
from paperfleet.journal.journal import Journal
from paperfleet.model import FileStat, Held, KnownFile
from paperfleet.storage.names import is_below

A = "aa" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path, source="s", target="t") as opened:
        yield opened


def file(name: str) -> KnownFile:
    return KnownFile(name, name, 7, A, 17, "2049:12", "v1", '"e1"')


def stat(name: str) -> FileStat:
    """Return the stat of a source file that is as the journal knows it."""
    return FileStat(name, 7, 17, "v1", "2049:12")


def test_what_is_equal_does_not_differ(journal: Journal) -> None:
    journal.remember([file("a"), file("b/c")])
    assert journal.differences([stat("a"), stat("b/c")], [""]) == ([], [], 2)


@pytest.mark.parametrize("modified", [None, 0, -1, 2**63 - 1, 2**63, 2**70, -(2**70)])
def test_any_time_of_change_is_compared_exactly(journal: Journal, modified: int | None) -> None:
    journal.remember([file("a")._replace(modified_ns=modified)])
    same = stat("a")._replace(modified_ns=modified)
    assert journal.differences([same], [""]).changed == []
    for other in (None if modified is not None else 5, (modified or 0) + 1):
        changed = same._replace(modified_ns=other)
        [(found, known)] = journal.differences([changed], [""]).changed
        assert (found, known and known.modified_ns) == (changed, modified)


@pytest.mark.parametrize(
    "other",
    [
        stat("a")._replace(size=8),
        stat("a")._replace(file_id=None),
        stat("a")._replace(file_id="2049:13"),
        stat("a")._replace(etag="v2"),
        stat("a")._replace(etag=None),
    ],
)
def test_every_part_of_a_stat_counts(journal: Journal, other: FileStat) -> None:
    journal.remember([file("a"), file("b")])
    assert journal.differences([other, stat("b")], [""]) == ([(other, file("a"))], [], 2)


def test_what_is_unsure_differs(journal: Journal) -> None:
    unsure = file("a")._replace(sure=False, intended_sha256=A)
    journal.remember([unsure])
    assert journal.differences([stat("a")], [""]).changed == [(stat("a"), unsure)]


def test_only_what_is_in_scope_can_vanish(journal: Journal) -> None:
    journal.remember(map(file, ["a", "a/x", "a0", "ab", "b/c", "b/d"]))
    found = journal.differences([stat("b/d")], ["a", "b", "b/c"])
    assert [known.name for known in found.vanished] == ["a", "a/x", "b/c"]
    assert found.found == 1


def test_a_file_found_twice_counts_once(journal: Journal) -> None:
    found = journal.differences([stat("a"), stat("a")], ["a", ""])
    assert found == ([(stat("a"), None)], [], 1)


def test_the_journal_can_be_written_while_the_source_is_scanned(
    journal: Journal, path: Path
) -> None:
    journal.remember([file("gone"), file("stays")])
    journal.refuse(dict.fromkeys(["r"], Held("delete", "why")))

    def scanning() -> Iterator[FileStat]:
        yield stat("new")
        journal.remember([file("new")], forgets=["gone"])
        with Journal.read(path) as view:
            assert view.approve() == 1
        yield stat("stays")

    assert journal.differences(scanning(), [""]) == ([], [], 2)


def test_a_scan_that_fails_leaves_nothing_behind(journal: Journal) -> None:
    def failing() -> Iterator[FileStat]:
        yield stat("a")
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        journal.differences(failing(), [""])
    with pytest.raises(ValueError, match="Only UTF-8"):
        journal.differences([stat("x\udcff")], [""])
    assert journal.differences([], [""]) == ([], [], 0)


def test_no_temporary_file_is_needed(journal: Journal) -> None:
    """The image's root is read-only: there may be no /tmp."""

    def scanning() -> Iterator[FileStat]:
        for number in range(60_000):
            yield stat(f"folder/{number:0100}")
        descriptors = Path("/proc/self/fd").iterdir()
        assert not [fd for fd in descriptors if "etilqs" in os.path.realpath(fd)]

    assert journal.differences(scanning(), [""]).found == 60_000


@pytest.mark.parametrize("query", ["vanished", "below", "in", "folders_in", "aliased"])
def test_every_look_into_a_folder_uses_an_index(path: Path, query: str) -> None:
    Journal.open(path, source="s", target="t").close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(queries("differences")["table"])
        sql = f"EXPLAIN QUERY PLAN {queries('differences')[query]}"
        arguments = [] if query == "aliased" else ["x", "x/", "x0"]
        steps = [str(row[3]) for row in connection.execute(sql, arguments)]
    uses = "known_under_other_names" if query == "aliased" else "PRIMARY KEY (name"
    assert any(uses in step for step in steps)
    assert query == "aliased" or not any(step.startswith("SCAN k") for step in steps)


NAME = st.lists(st.sampled_from(["a", "b", "a0", "é", "\U00010000"]), min_size=1, max_size=4).map(
    "/".join
)


@settings(max_examples=80, deadline=None)
@given(
    known=st.sets(NAME, max_size=12),
    aliased=st.sets(NAME, max_size=3),
    found=st.sets(NAME, max_size=12),
    folder=NAME | st.just(""),
)
def test_the_queries_say_what_their_words_say(
    known: set[str], aliased: set[str], found: set[str], folder: str
) -> None:
    rows = {name: file(name) for name in known}
    rows |= {name: file(name)._replace(target_name="other") for name in aliased & known}
    below = {name for name in known if is_below(name, folder)}
    cut = len(folder) + 1 if folder else 0
    with (
        TemporaryDirectory() as temporary,
        Journal.open(Path(temporary, "j"), source="s", target="t") as journal,
    ):
        journal.remember(rows.values())
        differences = journal.differences(map(stat, found), [folder])
        assert differences.changed == [(stat(name), None) for name in sorted(found - known)]
        gone = sorted((below | ({folder} & known)) - found)
        assert differences.vanished == [rows[name] for name in gone]
        assert journal.count_below(folder) == len(below)
        direct = sorted(name for name in below if "/" not in name[cut:])
        assert journal.known_in(folder) == [rows[name] for name in direct]
        assert journal.folders_in(folder) == {
            name[: name.index("/", cut)] for name in below if "/" in name[cut:]
        }
        assert set(journal.known_under_other_names()) == {rows[name] for name in aliased & known}
