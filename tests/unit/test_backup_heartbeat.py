"""Heartbeats of a run and a drill, to a monitor on the loopback."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.servers.listening import listening

from paperfleet.backup.heartbeat import address_of, beating
from paperfleet.errors import ConfigurationError
from paperfleet.secret import Secret

SAID: list[str] = []


@pytest.fixture(autouse=True)
def said() -> list[str]:
    SAID.clear()
    return SAID


def test_a_good_end_and_a_bad_one_are_told_apart(said: list[str]) -> None:
    with listening() as heard:
        with beating(Secret(heard.url + "/a/?b=c"), said.append) as heart:
            heart.good = True
        with beating(Secret(heard.url + "/a"), said.append):
            pass
        with (
            pytest.raises(SystemExit),
            beating(Secret(heard.url), said.append),
        ):
            raise SystemExit(signal.SIGTERM)
    assert heard.paths == ["/a/start?b=c", "/a?b=c", "/a/start", "/a/fail", "/start", "/fail"]
    assert said == []


def test_without_an_address_nothing_is_sent(said: list[str]) -> None:
    with beating(None, said.append):
        pass
    assert said == []


def test_a_refusal_is_told_without_the_address(said: list[str]) -> None:
    with listening() as heard:
        heard.status = 404
        with beating(Secret(heard.url + "/s3cret"), said.append):
            pass
    assert said == ["the heartbeat could not be sent: the answer was 404"] * 2


@pytest.mark.parametrize(
    "url", ["s3cret", "ftp://s3cret.invalid/", "http://s3cret:x/", "http://s3 cret/", "http://"]
)
def test_an_address_that_is_none_fails_nothing(said: list[str], url: str) -> None:
    with beating(Secret(url), said.append):
        pass
    assert len(said) == 2
    assert not any("s3cret" in text or "s3 cret" in text for text in said)


def test_the_address_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("https://x.example/1\n")
    assert address_of(None, file) == Secret("https://x.example/1")
    assert address_of(Secret("y"), None) == Secret("y")
    with pytest.raises(ConfigurationError, match="cannot read /nowhere/url"):
        address_of(None, Path("/nowhere/url"))


def test_an_empty_file_is_no_way_to_turn_the_heartbeat_off(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        address_of(None, tmp_path / "url")
