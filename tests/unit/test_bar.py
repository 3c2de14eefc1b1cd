"""What a long command says where there is no terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from paperfleet.running.bar import Bar

if TYPE_CHECKING:
    import pytest


def lines_of(capsys: pytest.CaptureFixture[str], *, files: int, size: int) -> str:
    began = time.monotonic()
    with Bar("collect", files, size) as bar:
        bar._began, bar._told = began - 20.0, began - 11.0
        bar.advance(1000)
    return capsys.readouterr().err


def test_the_time_left_follows_from_the_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    assert "collect: 1/4 files, 50 B/s, 20.0 s left" in lines_of(capsys, files=4, size=2000)


def test_without_sizes_it_follows_from_the_number_of_files(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "collect: 1/4 files, 50 B/s, 1 min 0 s left" in lines_of(capsys, files=4, size=0)


def test_more_than_was_planned_leaves_no_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert ", 0.0 s left" in lines_of(capsys, files=4, size=500)
