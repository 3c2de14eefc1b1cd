"""The role flower, of which the small project has no program: that of a checkout's Python."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.paperless import checkout
from tests.paperless.programs import Child
from tests.servers.base import free_port
from tests.servers.redis_server import redis_missing, redis_server

if TYPE_CHECKING:
    from pathlib import Path

MISSING = checkout.missing() or redis_missing()
pytestmark = [pytest.mark.paperless, pytest.mark.skipif(bool(MISSING), reason=str(MISSING))]
START_TIMEOUT, STOP_TIMEOUT = 200.0, 60.0
FOLDERS = ("DATA_DIR", "MEDIA_ROOT", "CONSUMPTION_DIR", "SCRATCH_DIR")


def test_flower_shows_itself_is_ready_and_ends_by_sigterm(tmp_path: Path) -> None:
    paperless = checkout.checkout()
    port = free_port()
    with redis_server() as redis:
        environ = paperless.environ | {
            **{f"PAPERLESS_{name}": str(tmp_path / name.lower()) for name in FOLDERS},
            "PAPERLESS_SRC": str(paperless.src),
            "PAPERLESS_REDIS": redis.url,
            "PAPERLESS_SECRET_KEY": "of a test",
            "FLOWER_PORT": str(port),
        }
        command = [str(paperless.python), "-P", "-m", "paperfleet", "run", "flower"]

        def is_(state: str) -> bool:
            asked = [*command, "--check", state]
            return subprocess.run(asked, env=environ, timeout=START_TIMEOUT).returncode == 0

        flower = Child("flower", command, environ, tmp_path, tmp_path / "flower.log")
        try:
            flower.wait_until(lambda: is_("ready"), START_TIMEOUT)
            assert is_("alive")
            assert httpx.get(f"http://localhost:{port}/").status_code == 200
            os.kill(flower.pid, signal.SIGTERM)
            assert flower.wait(STOP_TIMEOUT) == 0, flower.tail()
            assert not is_("alive")
        finally:
            flower.kill()
