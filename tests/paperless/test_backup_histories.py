"""Random histories with kills: what is restored is what was there while the backup was made.

The repository is a plain one in a folder, and the processes are forks (``histories``): with restic
a history would take seconds. What restic does when it is killed is tested with restic.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.paperless.backup_kit import SmallInstallation
from tests.paperless.children import SMALL
from tests.wide import WIDE

from paperfleet.backup.points import POINTS

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "")
BATCHES, IN_BATCH = {"soak": (8, 125), "quick": (0, 0)}.get(PROFILE, (2, 20))
SECONDS = 3000 if PROFILE == "soak" else 600

PROGRAM = """
import django; django.setup()
from tests.paperless import histories; histories.main()
"""

pytestmark = [pytest.mark.property, pytest.mark.timeout(SECONDS + 60)]


def live(folder: Path, *words: str, plugged: bool) -> dict[str, int]:
    """Live histories; return how often a process was killed at each moment."""
    installation = SmallInstallation(folder)
    if plugged:
        storage = folder / "storage"
        storage.mkdir()
        installation.variables = {
            "PAPERFLEET_TEST_STORAGE": str(storage),
            "PAPERLESS_DOCUMENT_STORAGE_BACKEND": str(storage),
        }
    installation.manage("migrate", "--verbosity", "0")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), *words],
        cwd=SMALL.source,
        env=installation.environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    killed = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(killed, dict)
    return killed


@pytest.mark.parametrize("plugged", [False, pytest.param(True, marks=WIDE)])
def test_a_kill_at_each_moment(tmp_path: Path, *, plugged: bool) -> None:
    killed = live(tmp_path, "each", plugged=plugged)
    assert sorted(killed) == sorted(POINTS)


@pytest.mark.wide
@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_histories(tmp_path: Path, batch: int) -> None:
    first = 1000 + batch * IN_BATCH
    killed = live(tmp_path, str(first), str(IN_BATCH), plugged=batch % 2 == 1)
    assert sum(killed.values()) > IN_BATCH / 2
