"""status, health and approve on a real journal."""

from __future__ import annotations

import io
import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from paperfleet.cli import main
from paperfleet.cli.health import judge
from paperfleet.journal.journal import Journal
from paperfleet.journal.tables import Quarantined, Refusal
from paperfleet.model import Delete, Held, KnownFile, Loss
from paperfleet.running.state import MirrorState, read_state
from paperfleet.settings.places import default_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Output = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PAPERFLEET_JOURNAL", "PAPERFLEET_SOURCE", "PAPERFLEET_TARGET", "WEBDRIVE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "paperfleet" / "abc.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path, source="/src", target="/dst") as journal:
        yield journal


def known(name: str) -> KnownFile:
    return KnownFile(name, name, 5, "00" * 32, 1, "1", "v", "e")


def troubled(journal: Journal) -> None:
    now = time.time()
    journal.set_fact(
        "heartbeat",
        {"pid": 4711, "at": now, "state": "idle", "reason": "", "watching": "inotify"},
    )
    journal.set_fact("compared_at", now - 12)
    journal.set_fact("converged_at", now - 7200)
    journal.set_fact("source_files", {"files": 3, "at": now - 15})
    journal.set_fact("left_out", ["link.pdf"])
    journal.remember([known("a.pdf"), known("b.pdf"), known("c.pdf")._replace(sure=False)])
    journal.quarantine("link.pdf", "a symbolic link, and links are not followed", "", 0.0)
    journal.set_fact("paused", None)
    (first,) = journal.record([Delete(known("old.pdf"))])
    journal.start([first])
    journal.quarantine("bad\nname.pdf", "the server refuses it (400)", "rename it", now + 3600)
    journal.refuse(
        dict.fromkeys(
            [f"gone-{number:02}.pdf" for number in range(30)],
            Held("delete", "30 of 40 files are gone"),
        )
    )


def entry(name: str, age: float) -> Quarantined:
    return Quarantined(name, "the server refuses it", "", 1, 1_000_000.0 - age, 1_000_000.0 + 30)


def held(loss: Loss, age: float) -> Refusal:
    return Refusal("a", "too much", 1_000_000.0 - age, approved=False, loss=loss)


def state(journal: Path, changes: dict[str, Any]) -> MirrorState:
    now = 1_000_000.0
    healthy = MirrorState(
        source="/src",
        target="/dst",
        journal=journal,
        at=now,
        heartbeat={"state": "idle", "at": now},
        paused=None,
        compared_at=now - 60,
        converged_at=now - 60,
        first_sync=None,
        source_files={"files": 5, "at": now - 90},
        uploads={"hash": 4, "size": 1},
        proven=5,
        in_doubt=0,
        strangers=0,
        unreadable=None,
        pending=[],
        quarantined=[],
        left_out=[],
        refused=[],
    )
    return healthy._replace(**changes)


def test_status_tells_all_in_tables(journal: Journal, capsys: Output) -> None:
    troubled(journal)
    assert main(["status"]) == 0
    text = capsys.readouterr().out
    assert "idle, inotify (pid 4711, heard 0." in text
    assert "12.0 s ago" in text or "12.1 s ago" in text
    assert r"bad\nname.pdf" in text
    assert "the server refuses it (400). rename it" in text
    assert "30 files: 30 of 40 files are gone. Let it happen: paperfleet approve" in text
    assert "gone-19.pdf" in text
    assert "gone-20.pdf" not in text
    assert "and 10 more" in text
    assert re.search(r"^source +/src *$", text, re.MULTILINE)
    assert re.search(r"^target +/dst *$", text, re.MULTILINE)
    for row in (
        "in sync +no; last 2 h 0 min ago",
        "in the source +3 files, counted 15[.]. s ago",
        "at the target +2 files, seen to have arrived",
        "in doubt +1 file, looked at before anything else",
        "in quarantine +1 file, not at the target as at the source",
        "left out +1 that are no documents",
        "held back +30 files",
    ):
        assert re.search(f"^{row} *$", text, re.MULTILINE), row
    assert "delete" in text
    assert "old.pdf" in text


def test_status_as_json_is_whole(journal: Journal, path: Path, capsys: Output) -> None:
    troubled(journal)
    assert main(["status", "--json", "--journal", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(MirrorState._fields)
    assert found["heartbeat"]["state"] == "idle"
    assert found["paused"] is None
    assert len(found["refused"]) == 30
    assert found["refused"][0]["approved"] is False
    assert found["quarantined"][0]["name"] == "bad\nname.pdf"
    assert found["pending"][0] | {"since": 0} == {
        "kind": "delete",
        "name": "old.pdf",
        "state": "running",
        "since": 0,
    }


def test_status_of_a_mirror_that_has_done_nothing_yet(journal: Journal, capsys: Output) -> None:
    del journal  # it is open, as by a mirror that has just started
    assert main(["status"]) == 0
    text = capsys.readouterr().out
    assert "has not run yet" in text
    assert "never yet" in text


def test_status_tells_a_pause(journal: Journal, capsys: Output) -> None:
    until = time.time() + 600
    journal.set_fact("paused", {"reason": "maintenance", "hint": "wait", "until": until})
    assert main(["status"]) == 0
    text = capsys.readouterr().out
    assert "maintenance. wait (next try in 9 min 59 s)" in text or "in 10 min 0 s" in text


def test_status_tells_a_mirror_that_died(journal: Journal, capsys: Output) -> None:
    journal.set_fact("heartbeat", {"pid": 1, "at": time.time() - 3600, "state": "syncing"})
    assert main(["status"]) == 0
    assert (
        "not running: it was syncing, and was last heard 1 h 0 min ago" in capsys.readouterr().out
    )


@pytest.mark.parametrize("command", ["status", "health", "approve"])
def test_without_a_mirror_it_says_so(command: str, capsys: Output) -> None:
    assert main([command]) == 1
    assert "no mirror has run here" in capsys.readouterr().err
    assert main([command, "/src", "/dst"]) == 1
    assert "no journal at" in capsys.readouterr().err


def test_several_mirrors_must_be_told_apart(journal: Journal, path: Path, capsys: Output) -> None:
    troubled(journal)
    second = path.with_name("def.sqlite")
    Journal.open(second, source="/a", target="/b").close()
    assert main(["status"]) == 1
    error = capsys.readouterr().err
    assert f"/src -> /dst: --journal {path}" in error
    assert f"/a -> /b: --journal {second}" in error


def test_the_pair_leads_to_its_journal(tmp_path: Path) -> None:
    arguments = {"source": "/src", "target": "/dst"}
    path = default_journal("/src", "/dst", {"XDG_STATE_HOME": str(tmp_path)})
    with Journal.open(path, source="/src", target="/dst"):
        assert read_state(arguments).journal == path


@pytest.mark.parametrize(
    ("changes", "healthy", "reason"),
    [
        ({}, True, "in sync 1 min 0 s ago"),
        ({"compared_at": 1_000_000.0 - 900}, True, "in sync 15 min 0 s ago"),
        ({"compared_at": 1_000_000.0 - 901}, False, "in sync 15 min 1 s ago"),
        ({"compared_at": None}, False, "the first sync is not done yet"),
        ({"heartbeat": {"state": "stopped", "at": 1}}, False, "the mirror has stopped"),
        (
            {
                "paused": {"reason": "wrong password", "hint": "fix"},
                "heartbeat": {"state": "stopped", "at": 1},
            },
            False,
            "wrong password. fix",
        ),
        ({"paused": {"reason": "maintenance", "hint": ""}}, True, "in sync 1 min 0 s ago"),
        (
            {"quarantined": [entry("a", 3600)]},
            True,
            "compared 1 min 0 s ago, 1 file not at the target as at the source, for up to "
            "1 h 0 min, 5 files at the target",
        ),
        (
            {"quarantined": [entry("a", 30), entry("b", 3601)]},
            False,
            "compared 1 min 0 s ago, 2 files not at the target as at the source, for up to "
            "1 h 0 min, 5 files at the target",
        ),
        (
            {"quarantined": [entry("a", 1)], "proven": 0},
            False,
            "compared 1 min 0 s ago, 1 file not at the target as at the source, for up to "
            "1.0 s, 0 files at the target",
        ),
        (
            {"in_doubt": 2},
            True,
            "compared 1 min 0 s ago, 2 files in doubt, 5 files at the target",
        ),
        ({"left_out": [entry("a", 90_000)]}, True, "in sync 1 min 0 s ago"),
        (
            {"heartbeat": {"state": "idle", "reason": "'disk' is not mounted any more"}},
            False,
            "at the source: 'disk' is not mounted any more",
        ),
        (
            {"refused": [held("delete", 3601)]},
            True,
            "compared 1 min 0 s ago, 1 file held back, 5 files at the target",
        ),
        (
            {"refused": [held("empty", 3601)]},
            False,
            "compared 1 min 0 s ago, 1 file held back, 5 files at the target",
        ),
    ],
)
def test_health_is_convergence(
    path: Path, changes: dict[str, Any], healthy: bool, reason: str
) -> None:
    assert judge(state(path, changes), 900, 3600) == (healthy, reason)


def test_health_is_one_line_and_an_exit_code(journal: Journal, capsys: Output) -> None:
    troubled(journal)
    assert main(["health"]) == 0
    healthy = capsys.readouterr().out
    assert healthy.startswith("healthy: compared 12.")
    assert healthy.endswith("1 file in doubt, 30 files held back, 2 files at the target\n")
    assert main(["health", "--health-seconds", "5"]) == 1
    assert capsys.readouterr().out.startswith("unhealthy: compared 12.")
    assert main(["health", "--missing-seconds", "0"]) == 1
    assert "1 file not at the target as at the source" in capsys.readouterr().out


def test_approve_shows_what_it_approves(journal: Journal, capsys: Output) -> None:
    troubled(journal)
    assert main(["approve", "--yes"]) == 0
    text = capsys.readouterr().out
    assert "30 files held back: 30 of 40 files are gone" in text
    assert "gone-09.pdf" in text
    assert "and 20 more" in text
    assert "approved: 30" in text
    assert len(journal.approved()) == 30
    assert main(["approve", "--yes"]) == 0
    assert "nothing is held back" in capsys.readouterr().out


def test_approve_asks(journal: Journal, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    troubled(journal)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert main(["approve"]) == 1
    assert journal.approved() == {}
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert main(["approve"]) == 0
    assert len(journal.approved()) == 30
    assert "Let this happen at the target?" in capsys.readouterr().out


def test_approve_does_nothing_where_nobody_can_answer(journal: Journal, capsys: Output) -> None:
    troubled(journal)
    assert main(["approve"]) == 1
    assert "paperfleet approve --yes" in capsys.readouterr().err
    assert journal.approved() == {}


def test_approve_never_approves_what_it_did_not_show(
    journal: Journal, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubled(journal)

    def add_more() -> None:
        journal.refuse(
            dict.fromkeys(
                [f"other-{number}" for number in range(40)], Held("delete", "all are gone")
            )
        )

    monkeypatch.setattr("paperfleet.cli.approve._ask", add_more)
    assert main(["approve"]) == 1
    assert "more than was shown" in capsys.readouterr().err
    assert journal.approved() == {}
