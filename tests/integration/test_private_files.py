"""All that Paperfleet writes beside documents can be read by its owner alone."""

from __future__ import annotations

import signal
import stat
import time
from typing import TYPE_CHECKING

from tests.integration.mirror_kit import BOUND
from tests.integration.test_mirror_cli import FILES, User
from tests.trees import read_tree

if TYPE_CHECKING:
    from pathlib import Path


def modes(folder: Path) -> dict[str, int]:
    """Return the rights of a folder and of all in it."""
    found = {".": folder, **{str(p.relative_to(folder)): p for p in folder.rglob("*")}}
    return {name: stat.S_IMODE(path.stat().st_mode) for name, path in found.items()}


def test_state_leases_receipts_and_reports(tmp_path: Path) -> None:
    user = User(tmp_path)
    state, leases, papers = tmp_path / "state", tmp_path / "leases", tmp_path / "papers"
    papers.mkdir(mode=0o700)
    del user.environ["PAPERFLEET_JOURNAL"]
    user.environ |= {"XDG_STATE_HOME": str(state), "PAPERFLEET_LEASE": f"file:{leases}"}
    user.command = ["sh", "-c", 'umask 022; exec "$@"', "sh", *user.command]
    with user.mirroring() as process:
        deadline = time.monotonic() + BOUND
        while read_tree(user.target) != FILES:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running = modes(state / "paperfleet") | modes(leases)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=BOUND)
    del user.environ["PAPERFLEET_LEASE"]
    migrated = user.run(
        *("migrate", user.source, tmp_path / "copy"),
        *("--receipt", papers / "receipt", "--report", papers / "report"),
    )
    assert migrated.returncode == 0, migrated.stderr
    found = running | modes(state / "paperfleet") | modes(papers)
    assert {"receipt", "report"} <= found.keys()
    assert any(name.endswith(".lease") for name in found)
    wrong = {n: oct(mode) for n, mode in found.items() if mode != (0o700 if n == "." else 0o600)}
    assert wrong == {}
