"""``paperfleet mirror`` as a user starts it, between folders and to a WebDAV server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.servers.wsgidav_server import PASSWORD, USER, wsgidav_server

from paperfleet.storage.names import is_temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.base import WebDavServer

MIRROR = [sys.executable, "-m", "paperfleet", "mirror"]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    foreign = ("PAPERFLEET_", "WEBDRIVE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"XDG_STATE_HOME": str(tmp_path / "state"), "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    for number in range(40):
        file = source / "2026" / f"{number:02}.pdf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%PDF" * (number + 1))
    return source


@pytest.fixture
def target(tmp_path: Path) -> Path:
    target = tmp_path / "target"
    target.mkdir()
    return target


@pytest.fixture
def server() -> Iterator[WebDavServer]:
    with wsgidav_server() as server:
        yield server


def run(environ: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*MIRROR, *map(str, arguments)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


def tree(root: Path) -> dict[str, bytes]:
    """Return every file with its bytes; those of a save in progress are not there yet."""
    files = (path for path in root.rglob("*") if path.is_file() and not is_temporary(path.name))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def wait_until(done: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(environ: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
    command = [*MIRROR, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(process: subprocess.Popen[str]) -> str:
    """End it as `docker stop` does, and return all that it printed."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0, output
    return output


def test_once_brings_all_and_says_so(environ: dict[str, str], source: Path, target: Path) -> None:
    found = run(environ, "--once", source, target)
    assert found.returncode == 0, found.stderr
    assert tree(target) == tree(source)
    assert re.search(r"^\S+ started   === mirroring .* ===$", found.stdout, re.MULTILINE)
    assert re.search(r"^\S+ created   2026/00\.pdf \(4 B\)$", found.stdout, re.MULTILINE)
    assert re.search(r" synced    === first sync done in .*: 40 created", found.stdout)
    again = run(environ, "--once", source, target)
    assert again.returncode == 0
    assert "created" not in again.stdout


def test_a_dry_run_prints_the_plan_and_does_nothing(
    environ: dict[str, str], source: Path, target: Path
) -> None:
    found = run(environ, "--dry-run", source, target)
    assert found.returncode == 0, found.stderr
    assert "2026/39.pdf" in found.stdout
    assert tree(target) == {}
    assert "no mirror has run here" in status(environ).stderr


def test_the_guard_makes_once_exit_2_until_it_is_approved(
    environ: dict[str, str], source: Path, target: Path
) -> None:
    assert run(environ, "--once", source, target).returncode == 0
    for number in range(30):
        (source / "2026" / f"{number:02}.pdf").unlink()
    refused = run(environ, "--once", source, target)
    assert refused.returncode == 2
    assert "paperfleet approve" in refused.stdout
    assert len(tree(target)) == 40
    approve = [sys.executable, "-m", "paperfleet", "approve", "--yes"]
    approved = subprocess.run(approve, env=environ, capture_output=True, text=True, timeout=30)
    assert "approved: 30" in approved.stdout
    assert run(environ, "--once", source, target).returncode == 0
    assert tree(target) == tree(source)


def status(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "paperfleet", "status", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)


def test_it_runs_on_and_status_answers_beside_it(
    environ: dict[str, str], source: Path, target: Path
) -> None:
    process = start(environ, "--log-format", "json", source, target)
    try:
        wait_until(lambda: tree(target) == tree(source))
        (source / "2026" / "00.pdf").rename(source / "new\nname.pdf")
        wait_until(lambda: tree(target) == tree(source))
        wait_until(lambda: '"idle"' in status(environ, "--json").stdout)
        state = json.loads(status(environ, "--json").stdout)
        assert state["proven"] == 40
        assert state["heartbeat"]["pid"] == process.pid
    finally:
        output = end(process)
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert events[0]["event"] == "started"
    (moved,) = (event for event in events if event.get("action") == "moved")
    assert (moved["name"], moved["new_name"]) == ("2026/00.pdf", "new\nname.pdf")
    assert "stopped" in status(environ).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere/at/all", "{target}"], "the source /nowhere/at/all does not exist"),
        (["{source}", "{source}/below"], "lie in one another"),
        (["{source}", "gopher://h/x"], "gopher"),
        (["{source}", "http://paperless.example/dav"], "--allow-plain-http"),
        (["--journal", "/proc/no/journal", "{source}", "{target}"], "/proc/no"),
    ],
)
def test_what_cannot_be_exits_1_and_is_told(
    environ: dict[str, str], source: Path, target: Path, arguments: list[str], message: str
) -> None:
    filled = [text.format(source=source, target=target) for text in arguments]
    found = run(environ, "--once", *filled)
    assert found.returncode == 1
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_two_mirrors_do_not_share_a_journal(
    environ: dict[str, str], source: Path, target: Path
) -> None:
    process = start(environ, source, target)
    try:
        wait_until(lambda: tree(target) == tree(source))
        second = run(environ, "--once", source, target)
        assert second.returncode == 1
        assert f"pid {process.pid}" in second.stderr
    finally:
        end(process)


def password_file(tmp_path: Path, password: str) -> Path:
    file = tmp_path / "password"
    file.write_text(password + "\n")
    return file


def test_a_webdav_server_gets_all(
    environ: dict[str, str], source: Path, tmp_path: Path, server: WebDavServer
) -> None:
    environ |= {
        "WEBDRIVE_URL": server.url,
        "WEBDRIVE_USER": USER,
        "WEBDRIVE_PASSWORD_FILE": str(password_file(tmp_path, PASSWORD)),
        "PAPERFLEET_SOURCE": str(source),
    }
    found = run(environ, "--once")
    assert found.returncode == 0, found.stderr
    assert tree(server.root) == tree(source)
    assert PASSWORD not in found.stdout + found.stderr


def test_a_wrong_password_exits_1_after_one_attempt(
    environ: dict[str, str], source: Path, tmp_path: Path, server: WebDavServer
) -> None:
    wrong = password_file(tmp_path, "wr0ng pass")
    found = run(environ, "--once", "--username", USER, "--password-file", wrong, source, server.url)
    assert found.returncode == 1
    assert "password" in found.stderr
    assert "wr0ng" not in found.stdout + found.stderr
    assert len(server.requests) == 1


def test_a_running_mirror_waits_for_another_password(
    environ: dict[str, str], source: Path, tmp_path: Path, server: WebDavServer
) -> None:
    file = password_file(tmp_path, "wr0ng pass")
    process = start(environ, "--username", USER, "--password-file", file, source, server.url)
    try:
        wait_until(lambda: len(server.requests) == 1)
        time.sleep(2)
        assert len(server.requests) == 1, "one attempt"
        assert process.poll() is None
        assert "paused" in status(environ).stdout
        password_file(tmp_path, PASSWORD)
        wait_until(lambda: tree(server.root) == tree(source))
    finally:
        output = end(process)
    assert "No request is made until" in output
    assert "has changed: trying again" in output
    assert "wr0ng" not in output
