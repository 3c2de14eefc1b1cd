"""A fleet of a real paperless-ngx on machines without a common folder, started by the launcher.

Common to the machines are PostgreSQL, Redis and an S3 server, and what they can only read.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
from tests.paperless import agreement
from tests.paperless.installation import Bucket, Installation, Servers
from tests.paperless.rest import Rest
from tests.servers.machines import SERVERS, network
from tests.servers.moto_server import moto_server
from tests.servers.postgres_server import postgres_server
from tests.servers.redis_server import redis_server
from tests.servers.s3 import S3Bypass, new_location
from tests.servers.s3_faults import s3_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.paperless.checkout import Checkout
    from tests.servers.machines import Machine, Program
    from tests.servers.s3_faults import S3Faults

ROLES = {
    "one": ("scheduler", "worker", "consumer", "web"),
    "two": ("worker", "web", "scheduler"),
    "three": ("worker",),
}
"""What runs where: two machines with web server and worker, a third with a worker only.

The second scheduler stands by.
"""
SINGLETONS = ("scheduler", "consumer")
SILENCE = 15
EVERYWHERE = "0.0.0.0"  # noqa: S104  # of a network without a way out
START_TIMEOUT = 600.0
STOP_TIMEOUT = 240.0
IDLE_TIMEOUT = 900.0
_PORT = 8000
_LAUNCHER = ("-P", "-m", "paperfleet", "run")


class FleetError(AssertionError):
    """A fleet is not as it has to be."""


class Host:
    """A machine with its roles of the fleet."""

    def __init__(self, fleet: Fleet, machine: Machine) -> None:
        self.fleet, self.machine, self.name = fleet, machine, machine.name
        self.roles: dict[str, Program] = {}
        self.url = f"http://{machine.address}:{_PORT}"
        self.logs = fleet.folder / "logs" / machine.name
        self.logs.mkdir(parents=True)
        for name in ("consume", "tmp"):
            (machine.folder / name).mkdir()

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its processes: all hosts have the same but for what is local."""
        home = self.machine.home
        return self.fleet.paperless.environ | {
            "PAPERLESS_SRC": str(self.fleet.paperless.checkout.src),
            "PAPERLESS_PYTHON": str(self.fleet.paperless.checkout.python),
            "PAPERLESS_DBHOST": SERVERS,
            "PAPERLESS_REDIS": self.fleet.servers.redis.url_at(
                self.fleet.servers.redis.port, SERVERS
            ),
            "PAPERLESS_DATA_DIR": str(home / "data"),
            "PAPERLESS_MEDIA_ROOT": str(home / "media"),
            "PAPERLESS_CONSUMPTION_DIR": str(home / "consume"),
            "PAPERLESS_SCRATCH_DIR": str(home / "scratch"),
            "PAPERLESS_STATICDIR": str(home / "static"),
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PAPERLESS_URL": self.url,
            "GRANIAN_HOST": EVERYWHERE,
            "GRANIAN_PORT": str(_PORT),
        }

    @property
    def consume(self) -> Path:
        """Its consume folder, as seen from outside."""
        return self.machine.folder / "consume"

    # Roles

    def missing(self) -> list[str]:
        """Return the roles of the host that do not run."""
        running = {role for role, program in self.roles.items() if program.alive}
        return [role for role in ROLES[self.name] if role not in running]

    def start(self, *roles: str) -> None:
        """Start roles; does not wait until they work."""
        for role in roles:
            command = [str(self.fleet.paperless.checkout.python), *_LAUNCHER, role]
            log = self.logs / f"{role}.log"
            self.roles[role] = self.machine.start(command, self.environ, self.machine.home, log)

    def is_ready(self, role: str) -> bool:
        """Ask the role's probe; one that takes long says no."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.launcher(role, "--check", "ready").returncode == 0
        return False

    def launcher(self, *arguments: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run ``paperfleet run`` to its end."""
        command = [str(self.fleet.paperless.checkout.python), *_LAUNCHER, *arguments]
        return self.machine.run(command, self.environ, self.machine.home, timeout)

    def stop(self, role: str, meanwhile: Callable[[Program], None] | None = None) -> None:
        """Let a role end in order: it gets the time that it needs."""
        program = self.roles.pop(role)
        program.terminate()
        if meanwhile:
            meanwhile(program)
        code = program.wait(STOP_TIMEOUT)
        assert code == 0, f"{role} on {self.name} ended with {code}\n{program.output()[-3000:]}"

    def kill(self, role: str) -> None:
        """Kill a role with all its processes."""
        self.roles.pop(role).kill()

    def lose_power(self) -> None:
        """Switch the machine off: it is cut off, and its processes are gone."""
        self.machine.switch_off()
        for program in self.roles.values():
            program.kill()
        self.roles.clear()

    # What runs there to its end

    def manage(self, *arguments: str, code: int = 0) -> str:
        """Run a management command there; it has to end so."""
        return self._python("manage.py", *arguments, code=code)

    def shell(self, program: str) -> str:
        """Run Python there, with Django set up; return what it prints."""
        return self._python("-c", f"import django; django.setup()\n{program}")

    def _python(self, *arguments: str, code: int = 0) -> str:
        source = self.fleet.paperless.checkout
        answer = self.machine.run(
            [str(source.python), *arguments], self.environ, source.src, START_TIMEOUT
        )
        assert answer.returncode == code, f"{arguments} on {self.name}\n{answer.stdout[-6000:]}"
        return answer.stdout

    def rest(self) -> Rest:
        """Return a client of its web server."""
        return Rest(self.url, self.fleet.paperless.checkout.version)

    def tail(self, length: int = 5000) -> str:
        """Return the ends of its logs."""
        return "\n".join(
            f"--- {self.name}: {log.name}\n{log.read_text(errors='replace')[-length:]}"
            for log in sorted(self.logs.glob("*.log"))
        )


class Fleet:
    """The hosts and what they have in common."""

    def __init__(
        self, paperless: Installation, faults: S3Faults, objects: S3Bypass, folder: Path
    ) -> None:
        self.paperless, self.faults, self.objects = paperless, faults, objects
        self.servers, self.folder = paperless.servers, folder
        self.hosts: dict[str, Host] = {}
        self.leases_lost = 0
        """How often a role ended as it had lost its lease."""

    @property
    def webs(self) -> list[Host]:
        """The hosts that have a web server, now."""
        return [host for host in self.hosts.values() if "web" in host.roles]

    @property
    def version(self) -> tuple[int, int, int]:
        """The version of paperless-ngx."""
        return self.paperless.checkout.version

    def complete(self) -> None:
        """Switch on and start what does not run; return once all of it is ready."""
        for host in self.hosts.values():
            if not host.machine.is_on:
                host.machine.switch_on()
            host.start(*host.missing())
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return once every role that was started is ready; it must not end before.

        One that has lost its lease ends by design, and is started again, as an orchestrator does.
        """
        waiting = [(host, role) for host in self.hosts.values() for role in host.roles]
        deadline = time.monotonic() + START_TIMEOUT
        while waiting:
            for host, role in waiting:
                program = host.roles[role]
                if not program.alive:
                    told = program.output()[-4000:]
                    if role not in SINGLETONS or "this one ends" not in told:
                        raise FleetError(f"{role} on {host.name} ended\n{told}")
                    self.leases_lost += 1
                    host.start(role)
            waiting = [(host, role) for host, role in waiting if not host.is_ready(role)]
            if waiting and time.monotonic() > deadline:
                texts = [host.roles[role].output()[-3000:] for host, role in waiting]
                raise FleetError(f"{waiting} are not ready\n" + "\n".join(texts))
            time.sleep(0.5 if waiting else 0)

    # The database, past Django

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(self.paperless.database_url(), connect_timeout=10) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def work(self) -> list[tuple[Any, ...]]:
        """Return what is to be done or failed: name, state, attempt, deaths and owner."""
        return self.ask(
            "SELECT name, state, attempt, deaths, owner FROM paperfleet_work"
            " WHERE state <> 'done' ORDER BY created"
        )

    def running(self, name: str = "documents.tasks.consume_file") -> dict[str, str]:
        """Return on which hosts tasks of a name run, by their number."""
        rows = self.ask(
            "SELECT task_id, owner FROM paperfleet_work WHERE state = 'running' AND name = %s", name
        )
        return {task: owner.partition("|")[0] for task, owner in rows}

    def unfinished(self) -> list[tuple[Any, ...]]:
        """Return what paperless-ngx's list of tasks shows as waiting or started."""
        return self.ask(
            "SELECT task_id, status FROM documents_paperlesstask"
            " WHERE lower(status) IN ('pending', 'started', 'received', 'retry')"
        )

    def staged(self) -> list[str]:
        """Return what lies in the staging area."""
        return sorted(name for name in self.objects.names() if name.startswith("staging/"))

    def until(self, look: Callable[[], Any], what: str, timeout: float = IDLE_TIMEOUT) -> Any:  # noqa: ANN401  # what it finds
        """Return what ``look`` finds, as soon as it is true; what is away is looked at again."""
        deadline = time.monotonic() + timeout
        while True:
            found = None
            with contextlib.suppress(psycopg.OperationalError):
                found = look()
            if found:
                return found
            if time.monotonic() > deadline:
                raise FleetError(f"not within {timeout:.0f} s: {what}\n{self.told()}")
            time.sleep(0.3)

    def told(self) -> str:
        """Return what is under way, for the report of a failure."""
        return f"work: {self.work()}\nunfinished: {self.unfinished()}\nstaged: {self.staged()}"

    def compare(self) -> agreement.Comparison:
        """Compare rows and objects, past the app."""
        found = agreement.compare(self.paperless, self.objects)
        found.orphans = [
            name for name in found.orphans if name.startswith(("originals/", "archive/"))
        ]
        return found


@contextlib.contextmanager
def machine_fleet(
    checkout: Checkout, folder: Path, names: Sequence[str] = tuple(ROLES)
) -> Iterator[Fleet]:
    """Make a fleet with an empty database; all of it ends with the block."""
    with (
        network(folder) as net,
        postgres_server(bind=EVERYWHERE) as postgres,
        redis_server(bind=EVERYWHERE) as redis,
        moto_server() as server,
        s3_faults(server, host=SERVERS) as (proxied, faults),
    ):
        location = new_location()
        bucket = Bucket(proxied, location, {"allow_plain_http": True})
        paperless = Installation(
            checkout, Servers(postgres, redis), folder / "outside", bucket, settings(checkout)
        )
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{paperless.database}"')
        fleet = Fleet(paperless, faults, S3Bypass(replace(server), location), folder)
        for name in names:
            fleet.hosts[name] = Host(fleet, net.machine(name))
        first = next(iter(fleet.hosts.values()))
        done = first.launcher("migrate", timeout=START_TIMEOUT)
        assert done.returncode == 0, done.stdout[-6000:]
        try:
            fleet.complete()
            yield fleet
        finally:
            for host in fleet.hosts.values():
                host.lose_power()


def settings(checkout: Checkout) -> dict[str, str]:
    """Return what an operator sets for a fleet."""
    mounts = ["thumbnails", "classifier"]
    if checkout.version >= (3, 0, 0):
        mounts.append("share_link_bundles")
    return {
        "PAPERFLEET_FLEET": "true",
        "PAPERFLEET_MOUNTS": ",".join(mounts),
        "PAPERFLEET_TASK_SILENCE_SECONDS": str(SILENCE),
    }
