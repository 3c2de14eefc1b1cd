"""What waits for what in a plan, as a table of text."""

from __future__ import annotations

import pytest
from tests.unit.test_plan import view

from paperfleet.mirror.planning.classify import passing_name
from paperfleet.mirror.planning.graph import Dependencies
from paperfleet.mirror.planning.plan import describe, plan

CASES = {
    "nothing has to do with another": (
        "b=1 new=2 up=4",
        "a=1 gone=3 up=33",
        ["move a -> b", "create new", "update up", "delete gone"],
    ),
    "a new file after the move that frees its name": (
        "z=1#1 a=2",
        "a=1#1",
        ["move a -> z", "create a, after move a -> z"],
    ),
    "a chain": (
        "b=1#1 c=2#2",
        "a=1#1 b=2#2",
        ["move b -> c", "move a -> b, after move b -> c"],
    ),
    "a swap": (
        "a=2#2 b=1#1",
        "a=1#1 b=2#2",
        [
            "move b -> PASSING",
            "move a -> b, after move b -> PASSING",
            "move PASSING -> a, after move a -> b, move b -> PASSING",
        ],
    ),
    "a file where a folder was": (
        "d=9",
        "d/x=1 d/y=2",
        ["delete d/x", "delete d/y", "create d, after delete d/x, delete d/y"],
    ),
    "a folder where a file was": (
        "d/x=9 e=8",
        "d=1",
        ["delete d", "create d/x, after delete d", "create e"],
    ),
    "a new file in a folder that is moved": (
        "q/x=1 q/y=2 q/new=3 p/new=4",
        "p/x=1 p/y=2",
        [
            "move p/ -> q/ (2 files)",
            "create p/new, after move p/ -> q/ (2 files)",
            "create q/new, after move p/ -> q/ (2 files)",
        ],
    ),
    "names that some target takes for one": (
        "A=2 z=1",
        "a=1",
        ["move a -> z", "create A, after move a -> z"],
    ),
    "content that goes to a name that is taken": (
        "b=1",
        "a=1 b=2",
        ["update b", "delete a, after update b"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_waits_for_what(case: str) -> None:
    source, known, expected = CASES[case]
    work = plan(view(source, known))
    lines = describe(work)
    passing = {passing_name(name) for name in "ab"}
    found = []
    for line, before in zip(lines, Dependencies(work).of, strict=True):
        waits = ", ".join(sorted(lines[number] for number in before))
        found.append(f"{line}, after {waits}" if waits else line)
    text = "\n".join(found)
    for name in passing:
        text = text.replace(name, "PASSING")
    assert text.splitlines() == expected


def test_nothing_waits_for_what_comes_later() -> None:
    source = "a/x=1 b=2 c/y=3 d=4 e/f=5 g=6"
    work = plan(view(source, "b/x=1 a=2 d/y=3 c=4 e=6 g/f=5 h=7"))
    for number, before in enumerate(Dependencies(work).of):
        assert all(other < number for other in before)
