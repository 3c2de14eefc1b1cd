"""Fixtures: the processes that are killed."""

from __future__ import annotations

from multiprocessing import forkserver
from pathlib import Path

import pytest
from tests.crash.pairs import processes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def _imports_are_done_once() -> None:
    """Start the fork server with everything imported; it looks for modules in PYTHONPATH only."""
    processes.set_forkserver_preload(["tests.crash.mirror_child", "tests.crash.journal_child"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        forkserver.ensure_running()
