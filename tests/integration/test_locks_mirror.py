"""Two mirrors of one target, as processes: one works, the other stands by and takes over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TTL = 2.0
SLACK = 8.0


class Program:
    """`paperfleet mirror` with a journal of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.log = folder / f"{name}.log"
        environment = {
            **os.environ,
            "PAPERFLEET_LEASE": f"file:{folder}/leases",
            "PAPERFLEET_LEASE_SECONDS": str(TTL),
            "PAPERFLEET_JOURNAL": str(folder / f"{name}.sqlite"),
            "PAPERFLEET_SETTLE_SECONDS": "0",
        }
        places = [folder / "source", folder / "target"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "paperfleet", "mirror", *places],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def said(self, text: str) -> bool:
        return text in self.log.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "source" / "first.pdf").write_bytes(b"first")
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[str], Program]]:
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Program(folder, name))


def until(true: Callable[[], object], what: str, seconds: float = 30.0) -> float:
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, what
        time.sleep(0.05)
    return time.monotonic() - began


def pair(folder: Path, start: Callable[[str], Program]) -> tuple[Program, Program]:
    """Start two, and wait until one works and the other stands by."""
    one = start("one")
    until((folder / "target" / "first.pdf").exists, "the first mirror works")
    two = start("two")
    until(lambda: two.said("standing by: the lease"), "the second stands by")
    return one, two


def write(folder: Path, name: str) -> None:
    (folder / "source" / name).write_bytes(name.encode())


def arrives(folder: Path, name: str) -> float:
    return until((folder / "target" / name).exists, f"{name} arrives")


def test_a_killed_mirror_is_succeeded(folder: Path, start: Callable[[str], Program]) -> None:
    one, two = pair(folder, start)
    one.process.kill()
    write(folder, "second.pdf")
    assert arrives(folder, "second.pdf") < TTL + SLACK
    assert not two.said("kept"), "what the first has sent is known as its own"
    assert (folder / "target" / "first.pdf").read_bytes() == b"first"


def test_a_mirror_that_ends_lets_the_other_in_at_once(
    folder: Path, start: Callable[[str], Program]
) -> None:
    one, _ = pair(folder, start)
    one.process.send_signal(signal.SIGTERM)
    assert one.process.wait(20) == 0
    write(folder, "second.pdf")
    arrives(folder, "second.pdf")


def test_a_stopped_mirror_is_succeeded_and_stands_by_then(
    folder: Path, start: Callable[[str], Program]
) -> None:
    one, two = pair(folder, start)
    one.process.send_signal(signal.SIGSTOP)
    write(folder, "second.pdf")
    assert arrives(folder, "second.pdf") < TTL + SLACK
    one.process.send_signal(signal.SIGCONT)
    until(lambda: one.said("this one stands by"), "the first notices")
    two.process.kill()
    write(folder, "third.pdf")
    assert arrives(folder, "third.pdf") < TTL + SLACK
    assert sorted(path.name for path in (folder / "target").iterdir()) == [
        "first.pdf",
        "second.pdf",
        "third.pdf",
    ]


def test_standing_by_ends_in_order(folder: Path, start: Callable[[str], Program]) -> None:
    _, two = pair(folder, start)
    two.process.send_signal(signal.SIGTERM)
    assert two.process.wait(20) == 0
