"""A disk below the source that goes away takes nothing with it at the target: real mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.integration.mounts_child import SCENES
from tests.wide import first_of

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 120


def _why_not() -> str:
    unshare = shutil.which("unshare")
    if unshare is None:
        return "there is no unshare"
    found = subprocess.run([unshare, "-m", "true"], capture_output=True, text=True, check=False)
    return found.stderr.strip()


@pytest.mark.parametrize("kind", first_of(["one disk", "tmpfs"]))
@pytest.mark.parametrize("scene", [scene.__name__ for scene in SCENES])
def test_a_mount(scene: str, kind: str, tmp_path: Path) -> None:
    """``one disk``: a bind mount of the same device, which its number does not tell."""
    reason = _why_not()
    if reason:
        pytest.skip(f"no mount namespace: {reason}")
    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-m"]
    command += ["tests.integration.mounts_child", scene, kind, str(tmp_path)]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert run.returncode == 0, run.stdout + run.stderr
