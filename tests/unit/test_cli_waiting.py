"""After a wrong password the mirror waits for a reason to ask again."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import CredentialsError
from paperfleet.mirror.events import Notice
from paperfleet.running.stopping import Stopper
from paperfleet.running.waiting import wait_for_password
from paperfleet.settings.mirror import MirrorSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.mirror.events import Event

ERROR = CredentialsError("wrong password", hint="Set another")


class Log:
    """Keeps the text of notices."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, event: Event) -> None:
        assert isinstance(event, Notice)
        self.texts.append(event.text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("wrong")
    return file


def settings(file: Path | None) -> MirrorSettings:
    return MirrorSettings(source="/s", target="/t", journal=Path("/j"), password_file=file)


def later(do: Callable[[], object]) -> None:
    threading.Timer(0.2, do).start()


def test_it_goes_on_when_the_file_has_changed(file: Path) -> None:
    log = Log()
    start = time.monotonic()
    later(lambda: file.write_text("better password"))
    assert wait_for_password(settings(file), log, Stopper(), ERROR)
    assert time.monotonic() - start < 10
    assert "wrong password. Set another. No request is made until" in log.texts[0]
    assert str(file) in log.texts[0]
    assert "has changed" in log.texts[1]


def test_it_goes_on_when_the_file_was_replaced(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("right")
    later(lambda: other.replace(file))
    assert wait_for_password(settings(file), Log(), Stopper(), ERROR)
    assert file.read_text() == "right"


def test_a_file_that_is_missing_or_empty_is_not_read_yet(file: Path) -> None:
    log = Log()
    file.write_text("")
    assert wait_for_password(settings(file), log, Stopper(), ERROR, wait_seconds=0.3)
    file.unlink()
    assert wait_for_password(settings(file), log, Stopper(), ERROR, wait_seconds=0.3)
    assert not any("has changed" in text for text in log.texts)


@pytest.mark.parametrize("with_file", [True, False])
def test_it_asks_again_after_a_long_while(file: Path, with_file: bool) -> None:
    log = Log()
    chosen = settings(file if with_file else None)
    assert wait_for_password(chosen, log, Stopper(), ERROR, wait_seconds=0.1)
    assert "minutes" in log.texts[0]


class Interrupted(Stopper):
    """Stops soon what it is given, without the watchdog that would end this process."""

    def on_signal(self, stop: Callable[[], object]) -> None:
        later(stop)


def test_it_can_be_stopped(file: Path) -> None:
    assert not wait_for_password(settings(file), Log(), Interrupted(), ERROR, wait_seconds=30)
