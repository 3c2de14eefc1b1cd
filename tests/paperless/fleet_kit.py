"""Hosts of a fleet on the small project: one process a role, on real PostgreSQL and Redis."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import psycopg
import redis
from tests.paperless.children import PROJECT
from tests.paperless.programs import Child
from tests.servers.base import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.paperless.installation import Servers

TIMEOUT = 200.0
PROGRAM = (sys.executable, "-P", "-m", "paperfleet", "run")
_numbers = itertools.count(1)
_CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("PAPERLESS_", "PAPERFLEET_", "GRANIAN_", "DJANGO_", "FLOWER_"))
}


class Fleet:
    """An installation: a database and a prefix on Redis, which all of its hosts share."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.servers, self._folder = servers, folder
        self.name = f"fleet_{os.getpid()}_{next(_numbers)}"
        self.consume = folder / "consume"
        self.consume.mkdir()
        self._running: list[Child] = []

    def make_database(self, like: str) -> None:
        with psycopg.connect(self.servers.postgres.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{self.name}" TEMPLATE "{like}"')

    def host(self, name: str, **environ: str) -> FleetHost:
        """Return a host with folders of its own; only the consume folder is common."""
        return FleetHost(self, self._folder / name, environ)

    def environ(self, folder: Path) -> dict[str, str]:
        about = urlsplit(self.servers.postgres.url)
        return _CLEAN | {
            "PAPERLESS_SRC": str(PROJECT),
            "PAPERLESS_APPS": "paperfleet.paperless",
            "PAPERLESS_DBENGINE": "postgresql",
            "PAPERLESS_DBHOST": HOST,
            "PAPERLESS_DBPORT": str(about.port),
            "PAPERLESS_DBUSER": str(about.username),
            "PAPERLESS_DBPASS": unquote(str(about.password)),
            "PAPERLESS_DBNAME": self.name,
            "PAPERLESS_REDIS": self.servers.redis.url,
            "PAPERLESS_REDIS_PREFIX": self.name,
            "PAPERLESS_DATA_DIR": str(folder / "data"),
            "PAPERLESS_MEDIA_ROOT": str(folder / "media"),
            "PAPERLESS_SCRATCH_DIR": str(folder / "scratch"),
            "PAPERLESS_CONSUMPTION_DIR": str(self.consume),
            "PYTHONUNBUFFERED": "1",
        }

    @property
    def address(self) -> str:
        """The address of its database."""
        return f"{self.servers.postgres.url.rpartition('/')[0]}/{self.name}"

    def published(self) -> list[str]:
        """Return the tasks in the queue: the last part of the name, and the arguments of each."""
        return [f"{one['task'].rpartition('.')[2]}{one['argsrepr']}" for one in self._headers()]

    def publishers(self) -> list[int]:
        """Return the process that published each task in the queue, the first one first."""
        found = [one["origin"] for one in self._headers()]  # gen<process>@<host>
        return [int(one.partition("@")[0].removeprefix("gen")) for one in reversed(found)]

    def _headers(self) -> list[dict[str, str]]:
        with contextlib.closing(redis.Redis.from_url(self.servers.redis.url)) as client:
            messages = client.lrange(f"{self.name}celery", 0, -1)
        return [json.loads(message)["headers"] for message in messages]

    def started(self, child: Child) -> Child:
        self._running.append(child)
        return child

    def stop(self) -> None:
        """End all of its processes."""
        for child in self._running:
            child.kill()


class FleetHost:
    """A host, on which each role can be run once."""

    def __init__(self, fleet: Fleet, folder: Path, environ: dict[str, str]) -> None:
        self._fleet, self._folder = fleet, folder
        folder.mkdir()
        self.port = free_port()
        web = {"GRANIAN_HOST": HOST, "GRANIAN_PORT": str(self.port)}
        self.environ = fleet.environ(folder) | web | environ

    def start(self, role: str, inside: Sequence[str] = ()) -> Child:
        """Start a role, which goes on for itself, ``inside`` of what confines it."""
        log = self._folder / f"{role}.log"
        return self._fleet.started(
            Child(role, [*inside, *PROGRAM, role], self.environ, self._folder, log)
        )

    def child(self, name: str, script: str) -> Child:
        """Start a Python script with the environment of a role."""
        log = self._folder / f"{name}.log"
        return Child(name, [sys.executable, "-c", script], self.environ, self._folder, log)

    def run(self, role: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a role, or a question about it, to its end."""
        return subprocess.run(
            [*PROGRAM, role, *options],
            env=self.environ,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    def is_(self, state: str, role: str) -> bool:
        return self.run(role, "--check", state).returncode == 0

    def wait_until_ready(self, child: Child) -> None:
        child.wait_until(lambda: self.is_("ready", child.name), TIMEOUT)


@contextlib.contextmanager
def fleet_in(folder: Path, servers: Servers, *, like: str = "template1") -> Iterator[Fleet]:
    """Make a fleet with an empty database, or one like another; its processes end with it."""
    fleet = Fleet(servers, folder)
    fleet.make_database(like)
    try:
        yield fleet
    finally:
        fleet.stop()
