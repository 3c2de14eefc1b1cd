"""Checks end, and none hides another one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from paperfleet.diagnosis import (
    Check,
    CheckResult,
    Verdict,
    not_tried,
    ok,
    problem,
    unknown,
    warning,
)
from paperfleet.doctor.examining import ASK_FOR_IT, Examination
from paperfleet.errors import ConfigurationError, CredentialsError
from paperfleet.running.exitcodes import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from paperfleet.diagnosis import Look


def look(*results: CheckResult) -> Look:
    return lambda: iter(results)


def raising(error: Exception, *results: CheckResult) -> Look:
    def run() -> Iterator[CheckResult]:
        yield from results
        raise error

    return run


def made(*checks: Check, writes: bool = False) -> list[tuple[str, str, str]]:
    found = Examination(writes=writes).run("target", checks)
    return [(one.check, one.result.verdict.value, one.result.text) for one in found]


def test_each_check_is_made_and_tells_in_its_order() -> None:
    assert made(Check("a", look(ok("1"), warning("2"))), Check("b", look(problem("3")))) == [
        ("a", "ok", "1"),
        ("a", "warning", "2"),
        ("b", "problem", "3"),
    ]


@pytest.mark.parametrize("first", [problem("x"), unknown("x")])
def test_what_needs_something_that_is_not_right_is_not_tried(first: CheckResult) -> None:
    asked: list[int] = []

    def second() -> Iterator[CheckResult]:
        asked.append(1)
        yield ok("never")

    found = made(
        Check("login", look(first)),
        Check("folder", second, needs=("login",)),
        Check("room", second, needs=("folder",)),
        Check("clock", look(ok("right"))),
    )
    assert found[1:] == [
        ("folder", "not tried", "first this has to be right: login"),
        ("room", "not tried", "first this has to be right: folder"),
        ("clock", "ok", "right"),
    ]
    assert not asked


@pytest.mark.parametrize("first", [warning("slow"), not_tried("there is nothing to read")])
def test_what_is_no_fault_is_good_enough(first: CheckResult) -> None:
    found = made(Check("a", look(first)), Check("b", look(ok("1")), needs=("a",)))
    assert found[-1] == ("b", "ok", "1")


def test_what_needs_a_write_that_nobody_asked_for_is_not_tried() -> None:
    write = Check("save", look(ok("1")), writes=True)
    after = Check("look", look(ok("2")), needs=("save",))
    assert [verdict for _, verdict, _ in made(write, after)] == ["not tried", "not tried"]


def test_what_is_needed_and_never_was_made_is_not_there() -> None:
    assert made(Check("a", look(ok("1")), needs=("b",)))[0][1] == "not tried"


def test_a_check_that_writes_is_made_when_asked_for() -> None:
    check = Check("save", look(ok("saved")), writes=True)
    assert made(check) == [("save", "not tried", ASK_FOR_IT)]
    assert made(check, writes=True) == [("save", "ok", "saved")]


@pytest.mark.parametrize(
    ("error", "verdict", "text"),
    [
        (CredentialsError("wrong password", storage="x"), "problem", "wrong password"),
        (ConfigurationError("no such setting"), "problem", "no such setting"),
        (PermissionError(13, "Permission denied", "/secret"), "unknown", "Permission denied"),
        (ValueError("a secret"), "unknown", "ValueError"),
    ],
)
def test_what_is_raised_is_a_result_and_the_others_go_on(
    error: Exception, verdict: str, text: str
) -> None:
    found = made(Check("a", raising(error, ok("before"))), Check("b", look(ok("1"))))
    assert found[0] == ("a", "ok", "before")
    assert found[1][1] == verdict
    assert text in found[1][2]
    assert "secret" not in found[1][2]
    assert found[2] == ("b", "ok", "1")


def test_a_check_that_tells_nothing_is_no_green() -> None:
    assert made(Check("a", look())) == [("a", "unknown", "the check told nothing")]


@pytest.fixture
def hanging() -> Iterator[Callable[[], Iterator[CheckResult]]]:
    end = threading.Event()

    def hang() -> Iterator[CheckResult]:
        yield ok("half of it")
        end.wait(60)
        yield ok("too late")

    yield hang
    end.set()


def test_a_check_that_hangs_is_left_behind(hanging: Callable[[], Iterator[CheckResult]]) -> None:
    examination = Examination()
    checks = [
        Check("a", hanging, seconds=0.1),
        Check("b", look(ok("1"))),
        Check("c", look(ok("2")), needs=("a",)),
    ]
    found = [(one.check, one.result) for one in examination.run("target", checks)]
    assert [(name, one.verdict) for name, one in found] == [
        ("a", Verdict.OK),
        ("a", Verdict.UNKNOWN),
        ("b", Verdict.OK),
        ("c", Verdict.NOT_TRIED),
    ]
    assert examination.left == ["target: a"]


def test_areas_do_not_need_each_other() -> None:
    examination = Examination()
    list(examination.run("source", [Check("folder", look(ok("1")))]))
    found = list(examination.run("target", [Check("a", look(ok("1")), needs=("folder",))]))
    assert found[0].result.verdict is Verdict.NOT_TRIED


HANGING = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from paperfleet import cli
from paperfleet.diagnosis import Check, ok
from paperfleet.doctor import source

def hang():
    with ThreadPoolExecutor() as pool:  # whose threads Python waits for at its end
        yield pool.submit(time.sleep, 600).result()

source.SourceChecks.checks = lambda self: [Check("folder", hang, seconds=0.1)]
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_the_program_ends_though_a_check_does_not(form: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    arguments = ["doctor", *form, str(tmp_path), str(tmp_path / "target")]
    environ = {"PATH": os.environ["PATH"], "XDG_STATE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", HANGING, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == UNFINISHED, done.stdout + done.stderr
    assert "it had not ended after 0.1 s" in done.stdout
    assert "journal" in done.stdout, "the others are made all the same"
