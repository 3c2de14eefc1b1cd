"""What is told of drills: never better than it is."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING

import pytest

from paperfleet.backup import published
from paperfleet.backup.published import GREEN, NEVER, RED, UNFINISHED, Drill, Published
from paperfleet.errors import BackupError
from paperfleet.paperless.scaling.drillgauges import gauges
from paperfleet.web.metrics import text_of

if TYPE_CHECKING:
    from pathlib import Path

NOW = time.time()


def drill(outcome: str, at: float = NOW, reasons: tuple[str, ...] = ()) -> Drill:
    return Drill(
        outcome,
        at,
        repository="/backup",
        name="paperless",
        snapshot="1f6a23c4d",
        as_of="2026-01-31T12:00:00+00:00",
        documents=12_340,
        restore_seconds=423.0,
        reasons=reasons,
    )


def test_what_is_published_is_read(tmp_path: Path) -> None:
    green = drill(GREEN)
    published.publish(tmp_path, green)
    assert published.read(tmp_path) == Published(green, green)
    red = drill(RED, reasons=("document 17", "and another"))
    published.publish(tmp_path, red)
    assert published.read(tmp_path) == Published(red, green)
    assert (tmp_path / published.FILE).stat().st_mode & 0o077 == 0


def test_each_state_says_what_it_is() -> None:
    assert published.text(Published()) == NEVER
    hour = NOW + 3600
    green = drill(GREEN)
    text = published.text(Published(green, green), hour)
    assert text.startswith("the last drill was green, 1 h 0 min ago: backup 1f6a23c4")
    assert text.endswith("12,340 documents in 7 min 3 s")
    red = drill(RED, reasons=("why",))
    assert published.text(Published(red, green), hour) == (
        "THE LAST DRILL WAS RED, 1 h 0 min ago: why; the last green one was 1 h 0 min ago"
    )
    assert published.text(Published(red), hour).endswith("none was ever green")
    text = published.text(Published(drill(UNFINISHED), green), hour)
    assert "began 1 h 0 min ago and has not ended" in text


def test_another_repository_or_installation_was_not_drilled() -> None:
    green = drill(GREEN)
    found = Published(green, green)
    assert found.of("/backup", "paperless") == found
    for other in (("/elsewhere", "paperless"), ("/backup", "other")):
        assert found.of(*other) == Published()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"paperfleet_drill": 2, "last": null, "green": null}',
        '{"paperfleet_drill": 1, "last": {"outcome": "green"}, "green": null}',
        '{"paperfleet_drill": 1, "last": 5, "green": null}',
        "\udcff",
    ],
)
def test_a_damaged_file_is_never_green(tmp_path: Path, content: str) -> None:
    (tmp_path / published.FILE).write_bytes(content.encode("utf-8", "surrogateescape"))
    found = published.read(tmp_path)
    assert found.fault
    assert found.green is None
    assert "nobody knows" in published.text(found)
    published.publish(tmp_path, drill(RED))
    assert published.read(tmp_path) == Published(drill(RED))


def test_a_time_in_the_future_is_not_believed(tmp_path: Path) -> None:
    published.publish(tmp_path, drill(GREEN, NOW + 90_000))
    assert "clock" in published.read(tmp_path).fault
    assert published.read(tmp_path, NOW + 90_000).green is not None


def test_an_outcome_that_nobody_knows_is_damage(tmp_path: Path) -> None:
    published.publish(tmp_path, drill("GREENISH"))
    assert published.read(tmp_path).fault


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot be written"):
        published.publish(tmp_path / "missing", drill(GREEN))


def test_where_the_folder_is_it_is_told_here(tmp_path: Path) -> None:
    environ = {"PAPERFLEET_BACKUP_FOLDER": str(tmp_path / "backup")}
    assert published.here(environ) is None
    (tmp_path / "backup").mkdir()
    assert published.here(environ) == Published()
    published.publish(tmp_path / "backup", drill(GREEN))
    found = published.here({"XDG_STATE_HOME": str(tmp_path / "state"), **environ})
    assert found is not None
    assert found.green == drill(GREEN)


def test_it_is_json_for_a_program() -> None:
    told = json.loads(json.dumps(published.document(Published(drill(GREEN), drill(GREEN)))))
    assert told["last"]["outcome"] == GREEN
    assert told["age_seconds"] >= 0
    assert published.document(Published())["age_seconds"] is None


def test_its_age_is_a_metric_and_never_is_infinite() -> None:
    assert gauges(None) == []
    old = drill(GREEN, time.time() - 1000)  # NOW may be an hour ago in a whole run
    age, is_green, seconds = gauges(Published(drill(RED), old))
    assert 1000 <= age.values[()] < 2000
    assert (is_green.values[()], seconds.values[()]) == (0.0, 423.0)
    assert gauges(Published(old, old))[1].values[()] == 1.0
    never = gauges(Published())
    assert never[0].values[()] == math.inf
    told = text_of(never).decode()
    assert "paperfleet_backup_drill_age_seconds +Inf" in told
    assert "paperfleet_backup_drill_green 0.0" in told
    assert "\npaperfleet_backup_drill_restore_seconds" not in told
