"""A mirror of documents as a user starts and asks it: commands, exit codes, what they say."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.servers.paperless_double import TOKEN, Answer, paperless_double
from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.paperless_double import PaperlessDouble

COMMAND = [sys.executable, "-m", "paperfleet"]
PATIENCE = 60.0


@pytest.fixture
def paperless() -> Iterator[PaperlessDouble]:
    with paperless_double() as running:
        for n in range(3):
            running.add(f"document {n}", f"content {n}".encode())
        yield running


class DocumentsUser:
    """Somebody with a paperless-ngx, a target and a terminal."""

    def __init__(self, base: Path, paperless: PaperlessDouble) -> None:
        self.paperless, self.target = paperless, base / "target"
        self.journal = base / "state" / "journal.sqlite"
        token = base / "token"
        token.write_text(TOKEN + "\n")
        token.chmod(0o600)
        self.environ = {n: v for n, v in os.environ.items() if not n.startswith("PAPERFLEET_")}
        self.environ |= {
            "HOME": str(base),
            "PAPERFLEET_JOURNAL": str(self.journal),
            "PAPERFLEET_PAPERLESS_TOKEN_FILE": str(token),
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command with both places; return what it says."""
        command, *options = arguments
        done = subprocess.run(
            [*COMMAND, command, *options, "--paperless", self.paperless.url, str(self.target)],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def user(tmp_path: Path, paperless: PaperlessDouble) -> DocumentsUser:
    return DocumentsUser(tmp_path, paperless)


def test_a_dry_run_tells_and_leaves_nothing(user: DocumentsUser) -> None:
    told = user.run("mirror", "--dry-run")
    assert "create document 1.pdf" in told
    assert not user.target.exists()
    assert not user.journal.parent.exists()
    assert not user.paperless.downloads


def test_once_then_status_then_a_dry_run_of_a_change(user: DocumentsUser) -> None:
    user.run("mirror", "--once")
    assert read_tree(user.target) == user.paperless.effective()
    kept = [*user.journal.parent.iterdir()]
    assert user.journal.with_suffix(".documents") in kept
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
    state = subprocess.run(
        [*COMMAND, "status", "--json"],
        env=user.environ,
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert json.loads(state.stdout)["proven"] == 3
    before = user.journal.with_suffix(".documents").read_bytes()
    user.paperless.change(1, title="renamed")
    assert "move document 0.pdf -> renamed.pdf" in user.run("mirror", "--dry-run")
    assert user.journal.with_suffix(".documents").read_bytes() == before


def test_rules_come_from_the_settings(user: DocumentsUser) -> None:
    tag = user.paperless.name_in("tags", "Tax")
    user.paperless.add("taxed", b"taxed", tags=[tag])
    options = ["--document-path", "{{ created_year }}/{{ tag_list }}/{{ title }}"]
    user.run("mirror", "--once", *options, "--only-tags", "Tax", "--content", "both")
    assert set(read_tree(user.target)) == {"originals/2026/Tax/taxed.pdf"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--document-path", "{{ titel }}"], "there is no 'titel'"),
        (["--only-tags", "a,,b"], "an empty name"),
        (["--trash-folder", "../trash"], "trash_folder"),
        (["--content", "all"], "archive or original or both"),
    ],
)
def test_what_cannot_be_is_refused(user: DocumentsUser, options: list[str], message: str) -> None:
    assert message in user.run("mirror", "--once", *options, code=1)


def test_a_refused_token(user: DocumentsUser) -> None:
    user.paperless.token = "another one"
    told = user.run("mirror", "--once", code=1)
    assert "does not take the token" in told


def test_what_a_lost_journal_left_is_pruned(user: DocumentsUser) -> None:
    user.run("mirror", "--once")
    user.journal.unlink()
    user.paperless.trash(2)
    user.run("mirror", "--once")
    assert "document 1.pdf" in read_tree(user.target)
    user.run("prune", "--name", "document 1.pdf", "--yes")
    assert read_tree(user.target) == user.paperless.effective()


def test_it_stops_in_order_while_the_list_is_read(user: DocumentsUser) -> None:
    asked: list[float] = []

    def slow(path: str, _query: dict[str, str]) -> Answer | None:
        if path.endswith("/metadata/"):
            asked.append(time.monotonic())
            user.paperless.lock.release()
            time.sleep(1.0)
            user.paperless.lock.acquire()
        return None

    for n in range(30):
        user.paperless.add(f"another {n}", b"content")
    user.paperless.fault = slow
    process = subprocess.Popen(
        [*COMMAND, "mirror", "--paperless", user.paperless.url, str(user.target)],
        env=user.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not asked:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, told
    finally:
        process.kill()
        process.wait()
