"""The demonstration as a user starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.wide import WIDE

from paperfleet.demo.waiting import DemoError, seconds_until

if TYPE_CHECKING:
    from pathlib import Path

DEMO = [sys.executable, "-m", "paperfleet", "demo"]
TIME = r"  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d"
ARRIVED = r"   at the target after (\d+) ms"
STORY = [
    r"30 PDFs in (\S+), as paperless-ngx would file them",
    r"a WebDAV server at http://127\.0\.0\.1:\d+/",
    r"\$ paperfleet mirror \S+ http://127\.0\.0\.1:\d+/",
    rf"{TIME} started   === mirroring .* ===",
    rf"{TIME} created   2024/Müller & Söhne/Contract 003\.pdf \(\d+ KB\)",
    rf"{TIME} synced    === first sync done in .*: 30 created; 30 files at the target ===",
    r"1\. a new document: 2026/Tax Office/Assessment 031\.pdf",
    rf"{TIME} created   2026/Tax Office/Assessment 031\.pdf \(\d+ KB\)",
    ARRIVED,
    r"2\. a new version of 2025/Landlord/Contract 019\.pdf",
    rf"{TIME} updated   2025/Landlord/Contract 019\.pdf \(\d+ KB\)",
    ARRIVED,
    r"3\. a new title, so another name: .*",
    rf"{TIME} moved     2026/Tax Office/Assessment 031\.pdf -> 2026/Tax Office/Tax assessment .*",
    ARRIVED,
    r"4\. a correspondent renamed: the folder 2024/Stadtwerke with 2 documents",
    rf"{TIME} moved     2024/Stadtwerke/ -> 2024/City Utilities/ \(2 files\)",
    ARRIVED,
    r"5\. a document deleted: 2025/Health Insurance/Invoice 018\.pdf",
    rf"{TIME} deleted   2025/Health Insurance/Invoice 018\.pdf",
    ARRIVED,
    r"compared: 30 documents, [\d,]+ bytes, all equal at the target",
    r"from change to target: \d+ to \d+ ms",
    r"done in [\d.]+ s; the temporary folder is gone",
]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """With settings of the user's own, which the demo must not take for its mirror."""
    theirs = {"WEBDRIVE_URL": "https://cloud.example/", "PAPERFLEET_POLL_SECONDS": "3600"}
    return os.environ | theirs | {"XDG_STATE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}


def test_it_shows_each_arrival_and_cleans_up(environ: dict[str, str], tmp_path: Path) -> None:
    start = time.monotonic()
    found = subprocess.run(DEMO, env=environ, capture_output=True, text=True, timeout=100)
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stderr == ""
    assert time.monotonic() - start < 60, "half of it on an idle machine"
    lines = iter(found.stdout.splitlines())
    for pattern in STORY:
        assert any(re.fullmatch(pattern, line) for line in lines), f"{pattern}\n{found.stdout}"
    latencies = [int(ms) for ms in re.findall(ARRIVED, found.stdout)]
    assert len(latencies) == 5
    assert max(latencies) < 10_000
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@WIDE
def test_with_source_and_target_it_is_the_mirror(environ: dict[str, str], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "a.pdf").write_bytes(b"%PDF")
    del environ["WEBDRIVE_URL"]
    command = [*DEMO, str(source), str(target)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("first sync done" in line for line in process.stdout)
        assert (target / "a.pdf").read_bytes() == b"%PDF"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_one_of_the_two_is_not_enough(environ: dict[str, str]) -> None:
    found = subprocess.run(
        [*DEMO, "/somewhere"], env=environ, capture_output=True, text=True, timeout=30
    )
    assert found.returncode == 1
    assert "SOURCE without TARGET" in found.stderr


def test_what_does_not_arrive_is_an_error() -> None:
    with pytest.raises(DemoError, match=r"x did not arrive at the target within 0\.05 s"):
        seconds_until(lambda: False, 0.05, "x")
