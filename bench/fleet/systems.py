"""What is measured: a fleet by ``paperfleet run ROLE``, and the programs of paperless-ngx alone."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from tests.paperless.installation import Installation
from tests.paperless.programs import ProgramFailedError

from bench.processes import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.paperless.checkout import Checkout
    from tests.paperless.installation import Bucket, Servers
    from tests.paperless.rest import Rest

FLEET, STOCK = "fleet", "paperless-ngx by itself"
SETTINGS = {"PAPERLESS_ARCHIVE_FILE_GENERATION": "auto"}
"""Upstream's default: a PDF that has text gets no archive, and so no OCR."""
CONFINED = ("unshare", "--uts", "--pid", "--fork", "--mount-proc")
"""Lets a role be a container's: with a host name of its own, and seen by nobody as a process."""
SINGLETONS = ("scheduler", "consumer")
_ATTEMPTS = 3  # a machine that has too much to do starves a lease of 5 s
_OPEN = "('PENDING', 'STARTED', 'RECEIVED', 'RETRY')"


class Host(Installation):
    """A host of a fleet, with folders of its own; each role is started by the launcher."""

    confined = False

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its roles; nothing of a fleet is set otherwise than by default."""
        return super().environ | {
            "PAPERFLEET_FLEET": "true",
            "PAPERLESS_SRC": str(self.checkout.src),
            "PAPERLESS_PYTHON": str(self.checkout.python),
        }

    def _command(self, name: str) -> list[str]:
        launcher = [str(self.checkout.python), "-P", "-m", "paperfleet", "run", name]
        if not self.confined:
            return launcher
        script = f'hostname {self.folder.name}; exec "$@"'
        return [*CONFINED, "sh", "-c", script, "sh", *launcher]


class System:
    """One of the two, with what it was sent; all of its programs end with ``stop``."""

    def __init__(self, name: str, first: Installation, others: Sequence[Host] = ()) -> None:
        self.name, self.first, self.others = name, first, others
        self.posted = 0

    # Programs

    def start(self, workers: int) -> None:
        """Start all programs on the first host."""
        self.first.start("web", "worker", environ=tasks(workers))
        for role in SINGLETONS:
            self._lead(role)

    def _lead(self, role: str) -> None:
        """Start one of which one works; one that loses its lease ends, and is started again."""
        for attempt in range(_ATTEMPTS):
            try:
                self.first.start(role)
            except ProgramFailedError as error:
                if "this one ends" not in str(error) or attempt + 1 == _ATTEMPTS:
                    raise
            else:
                return

    def start_worker(self, workers: int) -> None:
        """Start the worker anew, for so many tasks at a time."""
        self.first.start("worker", environ=tasks(workers))

    def make_worker_nice(self) -> None:
        """Let the worker, and what it will start, leave the processors to everything else."""
        os.setpriority(os.PRIO_PGRP, self.first.program("worker").pid, 19)

    def stop(self) -> None:
        """End all programs."""
        for host in (self.first, *self.others):
            host.stop_all()

    # What it was sent, and the database past Django

    def post(self, rest: Rest, name: str, content: bytes) -> str:
        """Upload a document; return its task."""
        task = rest.post_document(name, content)
        self.posted += 1
        return task

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(self.first.database_url(), connect_timeout=10) as connection:
            return connection.execute(query, values).fetchall()

    def ended(self, tasks: Sequence[str]) -> tuple[int, float]:
        """Return how many tasks have ended, and when the last one did (seconds of the clock)."""
        rows = self.ask(
            "SELECT upper(status), extract(epoch FROM date_done) FROM documents_paperlesstask"
            " WHERE task_id = ANY(%s) AND date_done IS NOT NULL",
            list(tasks),
        )
        failed = [status for status, _ in rows if status != "SUCCESS"]
        if failed:
            raise BenchError(f"{self.name}: {len(failed)} documents were not consumed: {failed}")
        return len(rows), float(max((when for _, when in rows), default=0))

    def unfinished(self) -> int:
        """Return how many documents wait or are worked on."""
        return int(
            self.ask(
                f"SELECT count(*) FROM documents_paperlesstask WHERE upper(status) IN {_OPEN}"  # noqa: S608  # a constant
            )[0][0]
        )

    def numbers(self) -> deque[int]:
        """Return the documents."""
        return deque(pk for (pk,) in self.ask("SELECT id FROM documents_document ORDER BY id"))

    def require_all(self) -> None:
        """Raise ``BenchError`` unless each document that it was sent is there, and no other."""
        if (found := len(self.numbers())) != self.posted:
            raise BenchError(f"{self.name} has {found} documents and was sent {self.posted}")


@contextmanager
def systems(
    checkout: Checkout, servers: Servers, folder: Path, bucket: Bucket
) -> Iterator[list[System]]:
    """Make both, with empty databases; nothing runs yet, and all that does ends with the block."""
    folder.mkdir()
    stock = Installation(checkout, servers, folder / "stock", None, SETTINGS)
    hosts = [
        Host(checkout, servers, folder / name, bucket, SETTINGS) for name in ("one", "two", "three")
    ]
    for host in hosts[1:]:
        host.database = hosts[0].database
        host.confined = can_confine()
    made = [System(STOCK, stock), System(FLEET, hosts[0], hosts[1:])]
    try:
        for system in made:
            system.first.make_database()
        yield made
    finally:
        for system in made:
            system.stop()


def tasks(workers: int) -> Mapping[str, str]:
    """Return the variables for so many tasks at a time."""
    return {"PAPERLESS_TASK_WORKERS": str(workers)}


def can_confine() -> bool:
    """Say whether namespaces can be made here."""
    command = [*CONFINED, "true"]
    try:
        return not subprocess.run(command, capture_output=True, check=False, timeout=20).returncode
    except FileNotFoundError:
        return False
