"""Each event as the line that a person reads and the object that a program reads."""

from __future__ import annotations

import io
import json
import re
import time
from typing import TYPE_CHECKING, get_args

import pytest
from rich.console import Console

from paperfleet.mirror.events import (
    Done,
    Event,
    Failed,
    Notice,
    Paused,
    Planned,
    Refused,
    Resumed,
    Started,
    Synced,
)
from paperfleet.running.lines import WORDS, level_of, line, stands_out
from paperfleet.running.progress import BarReporter
from paperfleet.running.reporters import LogReporter, as_json, as_text
from paperfleet.running.words import duration_text, files_text, seconds_of, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = 1_769_857_200.0  # 2026-01-31 12:00:00 in Berlin


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


LINES: list[tuple[Event, str, str]] = [
    (
        Started("/srv/documents", "https://cloud.example/dav", "inotify"),
        "info",
        "started   === mirroring /srv/documents to https://cloud.example/dav, inotify ===",
    ),
    (
        Planned(True, sends=1200, bytes=4_200_000_000, moves=3, deletes=0, adopted=5),
        "info",
        "planned   1,200 files new or changed (4.2 GB), 3 to move, 5 already there",
    ),
    (
        Planned(False, sends=1, bytes=5, moves=0, deletes=2, adopted=0),
        "debug",
        "planned   1 file new or changed (5 B), 2 gone or renamed",
    ),
    (
        Done("created", "2024/acme/invoice.pdf", size=120_400),
        "info",
        "created   2024/acme/invoice.pdf (120 KB)",
    ),
    (Done("updated", "a.pdf", size=0), "info", "updated   a.pdf (0 B)"),
    (Done("restored", "a.pdf", size=1_500_000), "info", "restored  a.pdf (1.5 MB)"),
    (Done("moved", "a.pdf", "b/ä.pdf"), "info", "moved     a.pdf -> b/ä.pdf"),
    (Done("moved", "a", "b", count=500), "info", "moved     a -> b (500 files)"),
    (Done("deleted", "a.pdf"), "info", "deleted   a.pdf"),
    (Done("adopted", "a.pdf", size=7), "debug", "adopted   a.pdf"),
    (Done("set aside", "a.pdf", "a (2).pdf"), "info", "set aside a.pdf -> a (2).pdf"),
    (Done("deleted", "x\ny\x1b[31m\udcff.pdf"), "info", r"deleted   x\ny\x1b[31m\udcff.pdf"),
    (
        Failed("a.pdf", "permission denied", "chmod it", NOON),
        "warning",
        "failed    a.pdf: permission denied. chmod it (next try 12:00:00)",
    ),
    (
        Failed("link", "leads out", "", 0),
        "warning",
        "failed    link: leads out (waits until it changes)",
    ),
    (
        Refused(("a", "b", "c", "d", "e"), "most files are gone"),
        "warning",
        "refused   most files are gone: a, b, c and 2 more. Nothing of it is done; look at it with "
        "`paperfleet status`, let it happen with `paperfleet approve`",
    ),
    (
        Paused("wrong password", "set another", NOON),
        "error",
        "paused    wrong password. set another (until 12:00:00)",
    ),
    (Resumed(), "info", "resumed   the target answers again"),
    (
        Synced(True, 303.2, {"created": 1200, "moved": 3, "deleted": 0}, proven=1203),
        "info",
        "synced    === first sync done in 5 min 3 s: 1,200 created, 3 moved; "
        "1,203 files at the target ===",
    ),
    (
        Synced(True, 303.2, {"created": 1200}, failed=1, refused=2, proven=1200),
        "warning",
        "synced    === not in sync after the first pass in 5 min 3 s: 1,200 created, "
        "1 in quarantine (see paperfleet status), 2 held back (see paperfleet status); "
        "1,200 files at the target ===",
    ),
    (
        Synced(False, 0.42, failed=4),
        "debug",
        "synced    not in sync in 0.4 s: 4 in quarantine (see paperfleet status); "
        "0 files at the target",
    ),
    (
        Synced(False, 0.42, proven=1),
        "debug",
        "synced    in sync in 0.4 s: nothing to do; 1 file at the target",
    ),
    (Notice("the watch limit is reached"), "warning", "warning   the watch limit is reached"),
    (Notice("hello", "info"), "info", "notice    hello"),
]


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(("event", "level", "text"), LINES)
def test_an_event_is_one_line(event: Event, level: str, text: str) -> None:
    assert line(event) == text
    assert level_of(event) == level
    assert stands_out(event) == ("===" in text)


def test_every_kind_of_event_has_its_words() -> None:
    assert set(WORDS) == set(get_args(Event)) == {type(event) for event, _, _ in LINES}


@pytest.mark.parametrize("event", [event for event, _, _ in LINES])
def test_an_event_is_one_json_object_of_known_keys(event: Event) -> None:
    text = as_json(event, "2026-01-31T12:00:00+01:00")
    assert "\n" not in text
    found = json.loads(text)
    assert list(found)[:3] == ["time", "level", "event"]
    assert found["event"] == type(event).__name__.lower()
    assert set(found) == {"time", "level", "event", *event.__dataclass_fields__}


def test_json_has_the_name_as_it_is() -> None:
    assert json.loads(as_json(Done("created", 'a\n"ä".pdf'), ""))["name"] == 'a\n"ä".pdf'


def test_json_stays_utf8_for_a_name_that_is_none() -> None:
    text = as_json(Done("created", "a\udcffä"), "")
    assert "a\\udcffä".encode() in text.encode()
    assert json.loads(text)["name"] == "a\udcffä"


@pytest.mark.usefixtures("berlin")
def test_the_time_is_that_of_the_zone(capsys: pytest.CaptureFixture[str]) -> None:
    LogReporter(as_text, "info")(Done("deleted", "a.pdf"))
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00 deleted   a\.pdf\n"
    assert re.fullmatch(pattern, capsys.readouterr().out)


@pytest.mark.parametrize(
    ("level", "count"), [("debug", 23), ("info", 19), ("warning", 6), ("error", 1)]
)
def test_the_level_leaves_out_what_is_below(
    capsys: pytest.CaptureFixture[str], level: str, count: int
) -> None:
    report = LogReporter(as_text, level)
    for event, _, _ in LINES:
        report(event)
    assert len(capsys.readouterr().out.splitlines()) == count


def test_a_log_that_cannot_be_written_is_told_once_and_survived(
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = iter([True, True, False])

    def form(event: Event, moment: str) -> str:  # noqa: ARG001  # the reporter's signature
        if next(full):
            raise OSError(28, "No space left on device")
        return "written"

    report = LogReporter(form, "info")
    for _ in range(3):
        report(Resumed())
    found = capsys.readouterr()
    assert found.out == "written\n"
    assert found.err.count("No space left on device") == 1


def test_the_bar_goes_with_the_first_sync_alone() -> None:
    screen = io.StringIO()
    passed: list[Event] = []

    def inner(event: Event) -> None:
        passed.append(event)

    console = Console(file=screen, force_terminal=True, width=120)
    report = BarReporter(inner, console)
    events: list[Event] = [
        Started("s", "t", "inotify"),
        Planned(True, sends=2, bytes=3_000_000, moves=0, deletes=0, adopted=0),
        Done("created", "a", size=1_000_000),
    ]
    for event in events:
        report(event)
    report.redraw()
    assert "1/2 files" in screen.getvalue()
    assert "1.0/3.0 MB" in screen.getvalue()
    report(Synced(True, 1.0))
    length = len(screen.getvalue())
    later: list[Event] = [Planned(False, 5, 5, 0, 0, 0), Done("created", "b", size=1)]
    for event in later:
        report(event)
    assert len(screen.getvalue()) == length
    assert passed == [*events, Synced(True, 1.0), *later]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1500, "2 KB"),
        (999_999, "1.0 MB"),
        (12_345_678, "12 MB"),
        (4.2e9, "4.2 GB"),
        (5e12, "5.0 TB"),
        (5e15, "5000 TB"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 0 s"),
        (303, "5 min 3 s"),
        (3600, "1 h 0 min"),
        (93_900, "1 d 2 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_counts() -> None:
    assert [files_text(count) for count in (0, 1, 1200)] == ["0 files", "1 file", "1,200 files"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0s", 0),
        ("1.5m", 90),
        ("2H", 7200),
        ("1d", 86400),
        ("soon", None),
        ("-1s", None),
    ],
)
def test_durations_are_read(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds
