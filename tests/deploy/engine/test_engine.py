"""The engine of these tests: it runs containers, and nobody else notices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.deploy.engine.engine import Engine
    from tests.deploy.engine.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
FORWARD = "/proc/sys/net/ipv4/ip_forward"
OUTSIDE = Path("/proc/1/net/dev")


def test_its_network_is_not_the_machines(docker: Engine) -> None:
    assert docker.run("cat", FORWARD, timeout=30).stdout.strip() == "1"
    assert "docker0" in docker.run("ip", "link", timeout=30).stdout
    assert "docker0" not in OUTSIDE.read_text(encoding="utf-8")
    routes = docker.run("ip", "route", timeout=30).stdout
    assert "198.19.0.0/24" in routes
    assert "default" not in routes


def test_it_runs_a_container_that_cannot_write_its_root(docker: Engine, images: Images) -> None:
    assert images.standins
    words = ("run", "--rm", "--read-only", "--user", "1234:1234", "--cap-drop", "ALL")
    done = docker.run("docker", *words, "debian-root", "sh", "-c", "id -u; touch /x", timeout=120)
    assert done.stdout.strip() == "1234"
    assert "Read-only file system" in done.stderr
