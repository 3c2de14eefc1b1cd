"""Quarantine, refusals, facts and folder etags; and the view of other processes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperfleet.errors import JournalError
from paperfleet.journal.journal import Journal
from paperfleet.journal.tables import JsonValue, Quarantined, Refusal
from paperfleet.model import FileStat, Held, KnownFile, Put


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path, clock: Clock) -> Iterator[Journal]:
    with Journal.open(path, source="s", target="t", clock=clock) as opened:
        yield opened


def test_quarantine_counts_attempts_and_keeps_its_begin(journal: Journal, clock: Clock) -> None:
    assert journal.quarantine("b", "refused", "rename it", 1060.0) == 1
    clock.now = 1060.0
    assert journal.quarantine("a", "locked", "", 1090.0) == 1
    assert journal.quarantine("b", "too large", "", 1200.0) == 2
    assert journal.quarantined() == [
        Quarantined("a", "locked", "", 1, 1060.0, 1090.0),
        Quarantined("b", "too large", "", 2, 1000.0, 1200.0),
    ]


def test_release_forgets_the_attempts(journal: Journal) -> None:
    journal.quarantine("a", "locked", "", 1.0)
    journal.quarantine("a/b", "locked", "", 1.0)
    journal.release(["a", "never in"])
    assert [entry.name for entry in journal.quarantined()] == ["a/b"]
    assert journal.quarantine("a", "locked", "", 2.0) == 1


def test_refusals_are_replaced_and_keep_what_stays(
    journal: Journal, clock: Clock, path: Path
) -> None:
    journal.refuse(dict.fromkeys(["a", "b"], Held("delete", "too many deletions")))
    with Journal.read(path) as view:
        assert view.approve() == 2
    clock.now = 2000.0
    journal.refuse(dict.fromkeys(["b", "c"], Held("delete", "still too many")))
    assert journal.refusals() == [
        Refusal("b", "still too many", 1000.0, approved=True),
        Refusal("c", "still too many", 2000.0, approved=False),
    ]
    assert journal.approved() == dict.fromkeys(["b"], "delete")
    journal.refuse({})
    assert journal.refusals() == []
    journal.refuse(dict.fromkeys(["b"], Held("delete", "again")))
    assert journal.approved() == {}


@pytest.mark.parametrize(
    "value",
    [
        {
            "pid": 1,
            "at": 1.5,
            "paused": None,
            "names": ["ü", "\n"],
            "ok": True,
            "deep": {"a": [[]]},
        },
        [],
        "text",
        0,
        2**80,
        False,
    ],
)
def test_facts_come_back(journal: Journal, value: JsonValue) -> None:
    journal.set_fact("status", "before")
    journal.set_fact("status", value)
    assert journal.get_fact("status") == value
    assert journal.get_fact("absent") is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\udcff", {"\udcff": 1}, ["\ud800"]])
def test_what_json_cannot_say_is_refused(journal: Journal, value: JsonValue) -> None:
    journal.set_fact("status", "kept")
    with pytest.raises(ValueError, match=r"JSON|UTF-8"):
        journal.set_fact("status", value)
    assert journal.get_fact("status") == "kept"


def test_folder_etags(journal: Journal) -> None:
    journal.set_folder_etags({"": "r1", "a": "a1", "a/b": "b1"})
    journal.set_folder_etags({"": "r2", "c": "c1"}, gone=["a/b", "c", "never there"])
    assert journal.folder_etags() == {"": "r2", "a": "a1", "c": "c1"}


def test_the_view_sees_each_commit(journal: Journal, path: Path) -> None:
    with Journal.read(path) as view:
        assert (view.count_known(), view.count_pending(), view.pending()) == (0, 0, [])
        journal.remember([KnownFile("a", "a", 1, "", None, None, None, None)])
        journal.record(
            [Put(FileStat("b", 1), "b", "created"), Put(FileStat("c", 1), "c", "created")]
        )
        journal.quarantine("q", "why", "hint", 5.0)
        journal.refuse(dict.fromkeys(["r"], Held("delete", "why")))
        journal.set_fact("heartbeat", 17)
        assert view.count_known() == 1
        assert view.count_pending() == 2
        assert view.pending() == journal.pending()
        assert [operation.name for operation in view.pending(limit=1)] == ["b"]
        assert view.quarantined() == journal.quarantined() != []
        assert view.refusals() == journal.refusals() != []
        assert view.get_fact("heartbeat") == 17


def test_the_view_cannot_write(journal: Journal, path: Path) -> None:
    journal.set_fact("status", "kept")
    with (
        Journal.read(path) as view,
        pytest.raises(JournalError, match="cannot be written"),
        view._database.transaction() as connection,
    ):
        connection.execute("DELETE FROM facts")
    assert journal.get_fact("status") == "kept"


def test_the_view_works_when_no_mirror_runs(journal: Journal, path: Path) -> None:
    journal.refuse(dict.fromkeys(["r"], Held("delete", "why")))
    journal.close()
    with Journal.read(path) as view:
        assert view.approve() == 1
        assert view.refusals()[0].approved
        with Journal.open(path, source="s", target="t") as again:
            assert again.approved() == dict.fromkeys(["r"], "delete")


def test_no_journal_is_no_view_and_none_is_made(path: Path) -> None:
    with pytest.raises(JournalError, match="There is no journal at") as caught:
        Journal.read(path)
    assert "Start the mirror" in caught.value.hint
    assert list(path.parent.iterdir()) == []


def test_approval_from_another_process(journal: Journal, path: Path) -> None:
    journal.refuse(dict.fromkeys(["a", "b"], Held("delete", "why")))
    script = (
        "import sys; from pathlib import Path; from paperfleet.journal.journal import Journal\n"
        "print(Journal.read(Path(sys.argv[1])).approve())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "2\n"
    assert journal.approved() == dict.fromkeys(["a", "b"], "delete")
