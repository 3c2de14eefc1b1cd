"""The mirror's times and flags: the table of transitions as text, and what is due when."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from paperfleet.mirror.schedule import ONE_MORE, TRANSITIONS, After, Happening, Intervals, Schedule

TEXT = """
asked: asking = yes
answered: asking = no
contacted: contacted = yes, check_wanted = no, next_scan = now + scan
scan_begun: check_wanted = yes, next_scan = now + scan
planned: unsettled = yes
ended: quiet_since = now
succeeded: failures = 0
check_wanted: check_wanted = yes
check_begun: check_wanted = no, checking = yes
check_ended: checking = no
checked: next_check = now + check
paused: failures = one more, paused_until = now + pause
resumed: paused_until = never, check_wanted = yes
synced: unsettled = no, first_done = yes, next_heartbeat = now
beat: next_heartbeat = now + heartbeat
"""
INTERVALS = Intervals(scan=3600.0, check=60.0, quiet=1.0, heartbeat=5.0)
START = Schedule.starting(100.0, INTERVALS)
RUNNING = START.after(Happening.CONTACTED, 100.0).after(Happening.BEAT, 100.0)


def as_text(value: object) -> str:
    if isinstance(value, After):
        return f"now + {value.interval}" if value.interval else "now"
    if value is ONE_MORE:
        return "one more"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "never" if value is None else str(value)


def test_the_table() -> None:
    rows = [
        f"{happening.name.lower()}: "
        + ", ".join(f"{field} = {as_text(value)}" for field, value in changes.items())
        for happening, changes in TRANSITIONS.items()
    ]
    assert rows == TEXT.strip().splitlines()


@pytest.mark.parametrize("happening", Happening)
def test_only_the_table_changes_a_schedule(happening: Happening) -> None:
    before = replace(
        START, paused_until=1.0, check_wanted=True, unsettled=True, failures=3, first_done=False
    )
    after = before.after(happening, 1000.0, pause=7.0)
    for field in fields(Schedule):
        value = getattr(after, field.name)
        if field.name not in TRANSITIONS[happening]:
            assert value == getattr(before, field.name), field.name
            continue
        rule = TRANSITIONS[happening][field.name]
        if isinstance(rule, After):
            named = {"": 0.0, "pause": 7.0, **INTERVALS._asdict()}
            assert value == 1000.0 + named[rule.interval]
        else:
            assert value == (4 if rule is ONE_MORE else rule)


def test_every_field_but_the_intervals_is_set_by_something() -> None:
    changed = {field for changes in TRANSITIONS.values() for field in changes}
    assert changed == {field.name for field in fields(Schedule)} - {"intervals"}


def test_a_new_mirror_looks_at_once() -> None:
    assert START.patience(100.0, None, idle=True) == 0.0
    assert START.scan_is_due(100.0)
    assert START.heartbeat_is_due(100.0)


@pytest.mark.parametrize(
    ("schedule", "settles", "idle", "backlog", "seconds"),
    [
        (RUNNING, None, True, False, 4.0),
        (RUNNING, 0.5, True, False, 0.5),
        (RUNNING, None, True, True, 0.0),
        (RUNNING, None, False, True, 4.0),
        (RUNNING.after(Happening.CHECK_WANTED, 101.0), None, True, False, 0.0),
        (RUNNING.after(Happening.CHECK_WANTED, 101.0), None, False, False, 4.0),
        (
            RUNNING.after(Happening.CHECK_WANTED, 101.0).after(Happening.ENDED, 100.5),
            None,
            True,
            False,
            0.5,
        ),
        (RUNNING.after(Happening.PAUSED, 101.0, pause=2.0), 0.0, True, True, 2.0),
        (RUNNING.after(Happening.PAUSED, 101.0, pause=20.0), 0.0, True, True, 4.0),
        (START.after(Happening.ASKED, 100.0).after(Happening.BEAT, 100.0), 0.0, True, True, 4.0),
        (
            RUNNING.after(Happening.PAUSED, 90.0, pause=1.0).after(Happening.ASKED, 91.0),
            0.0,
            True,
            True,
            4.0,
        ),
        (RUNNING.after(Happening.CHECK_BEGUN, 101.0), 0.5, True, False, 0.5),
        (
            RUNNING.after(Happening.CHECK_BEGUN, 90.0).after(Happening.CHECK_WANTED, 90.0),
            None,
            True,
            False,
            4.0,
        ),
    ],
)
def test_for_how_long_nothing_is_due(
    schedule: Schedule, settles: float | None, idle: bool, backlog: bool, seconds: float
) -> None:
    assert schedule.patience(101.0, settles, idle=idle, backlog=backlog) == seconds


def test_a_check_that_is_wanted_waits_for_quiet() -> None:
    wanted = RUNNING.after(Happening.CHECK_WANTED, 100.0).after(Happening.ENDED, 102.0)
    assert not wanted.check_is_due(102.9, cheap=True)
    assert wanted.check_is_due(103.0, cheap=False)
    begun = wanted.after(Happening.CHECK_BEGUN, 103.0)
    assert not begun.check_is_due(104.0, cheap=True)
    assert not begun.after(Happening.CHECK_ENDED, 103.5).check_is_due(104.0, cheap=True)


def test_what_ends_beside_a_check_wants_another_one() -> None:
    begun = RUNNING.after(Happening.CHECK_WANTED, 100.0).after(Happening.CHECK_BEGUN, 102.0)
    touched = begun.after(Happening.ENDED, 103.0).after(Happening.CHECK_WANTED, 103.0)
    assert not touched.check_is_due(110.0, cheap=True)
    ended = touched.after(Happening.CHECK_ENDED, 110.0).after(Happening.CHECKED, 110.0)
    assert ended.check_is_due(110.0, cheap=False)


def test_after_a_pause_the_target_is_compared() -> None:
    paused = RUNNING.after(Happening.PAUSED, 200.0, pause=4.0)
    assert paused.after(Happening.RESUMED, 204.0).check_is_due(204.0, cheap=False)


def test_a_cheap_check_comes_now_and_then_once_the_first_sync_is_done() -> None:
    checked = RUNNING.after(Happening.CHECKED, 100.0)
    assert not checked.check_is_due(160.0, cheap=True)
    synced = checked.after(Happening.SYNCED, 101.0)
    assert synced.check_is_due(160.0, cheap=True)
    assert not synced.check_is_due(159.0, cheap=True)
    assert not synced.check_is_due(160.0, cheap=False)


def test_a_pause_has_an_end() -> None:
    paused = RUNNING.after(Happening.PAUSED, 200.0, pause=4.0)
    assert paused.paused
    assert not paused.pause_is_over(203.9)
    assert paused.pause_is_over(204.0)
    assert not paused.after(Happening.RESUMED, 204.0).pause_is_over(205.0)
